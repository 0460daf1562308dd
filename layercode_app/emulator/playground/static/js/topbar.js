// The live call in the top bar, on every view: buttons to show it and to hang up. Without a live call, a new one can begin.

import { icon } from "./composer.js";
import { breakable, fill, h } from "./dom.js";
import { onScreen, state } from "./state.js";

export class TopBar {
  constructor(root, { onShow, onHangUp, onNew }) {
    Object.assign(this, { root, onShow, onHangUp, onNew, drawn: "" });
  }

  // Redraw only if something changed: a button that is replaced while it is pressed loses the click.
  show() {
    const call = state.call?.live ? state.call : null;
    const now = JSON.stringify([call?.agent, call?.conversationId, !call && state.conversationId, state.missing]);
    if (now !== this.drawn) fill(this.root, call ? this.tools(call) : this.newCall());
    this.drawn = now;
    if (call) this.showState(call);
  }

  tools(call) {
    return [
      h("button", { class: "live-call", id: "live-call", title: "Show this call", onclick: () => this.onShow(call) },
        h("span", { class: "pulse" }), h("span", { class: "who" }, breakable(call.agent)), h("span", { class: "state" })),
      h("button", { class: "danger", id: "hang-up", onclick: () => this.onHangUp(call) }, icon("hangup"), h("span", {}, call.simulated ? "Stop" : "Hang up"))];
  }

  newCall() {
    return state.conversationId && !state.missing ? h("button", { id: "new-call", "data-once": true, onclick: this.onNew }, "New call") : null;
  }

  showState(call) {
    const text = this.root.querySelector(".state");
    if (text.textContent !== call.state) text.textContent = call.state;
    this.root.querySelector(".pulse").dataset.state = call.state;
    this.root.querySelector("#live-call").toggleAttribute("data-away", call !== onScreen());
  }
}
