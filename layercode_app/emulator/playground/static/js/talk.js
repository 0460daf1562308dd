// The middle of the page: the selected call as a transcript, or the start page.

import { api } from "./api.js";
import { fill, h, patch } from "./dom.js";
import { Follower } from "./follow.js";
import { simulatedCard } from "./simulated.js";
import { missingView, startView } from "./start.js";
import { agentNamed, onScreen, progress, spokenInto, state, stateOf } from "./state.js";
import { transcript } from "./transcript.js";

export class Talk {
  // `on` has the page's actions: change, select, call, simulate, say, stop, mute, calls and start.
  constructor(scroller, on) {
    Object.assign(this, { scroller, on, page: null });
    this.follower = new Follower(scroller, on.change);
  }

  clear() {
    this.follower.on = true;
    fill(this.scroller);
  }

  // Draw the selected call with these turns, or the page that is shown without a call.
  show(turns) {
    const { on } = this;
    if (state.missing) this.showPage(state.missing, () => missingView(state.missing, { onCalls: on.calls, onStart: on.start }));
    else if (!state.conversationId) this.showPage(JSON.stringify(state.agents), () => startView(state.agents, on.call, on.simulate));
    else this.showTurns(turns);
  }

  // This runs often while the agent speaks. Update in place: an element that is replaced while pressed loses the click.
  showTurns(turns) {
    const drawn = h("div", {}, transcript(turns, { selected: state.turnId, onSelect: this.on.select, progress, stateOf }),
      this.suggestions(turns), this.simulated(), this.resume());
    if (this.scroller.querySelector("#transcript")) patch(this.scroller.firstChild, drawn);
    else fill(this.scroller, drawn);
    if (state.following) this.follower.place();
  }

  // If the page on screen already shows the same, keep it: a redraw would close what the user has opened on it.
  showPage(shows, page) {
    if (this.page === shows && this.scroller.firstElementChild?.classList.contains("start")) return;
    this.page = shows;
    fill(this.scroller, page());
  }

  // Sentences to try, until the caller has said something.
  suggestions(turns) {
    const say = agentNamed(spokenInto()?.agent)?.say || [];
    if (!say.length || turns.some((turn) => turn.user_text)) return null;
    return h("div", { class: "suggestions", "data-turn": "suggestions" }, h("span", {}, "Try saying"),
      say.map((text) => h("button", { class: "small", type: "button", "data-once": true, onclick: () => this.on.say(text) }, text)));
  }

  // Who calls in a simulated call, and how it ended.
  simulated() {
    const call = state.simulated.get(state.conversationId);
    if (!call) return null;
    return simulatedCard(call, {
      watched: Boolean(onScreen()), muted: state.muted, onStop: () => this.on.stop(call.conversation_id), onMute: this.on.mute,
      onAgain: () => this.on.simulate(call.asked.agent, call.asked),
    });
  }

  // A continued call is a call to the agent that began it. If that agent handed the call over, the other agent still answers.
  resume() {
    if (!state.conversation || onScreen() || state.simulated.get(state.conversationId)?.over === false) return null;
    return h("div", { class: "aside-row", "data-turn": "resume" },
      h("button", { "data-once": true, onclick: () => this.on.call(state.conversation.first_agent, state.conversationId) }, "Continue this call"),
      h("a", { class: "button", href: api.exportUrl(state.conversationId), download: "" }, "Export this call"));
  }
}
