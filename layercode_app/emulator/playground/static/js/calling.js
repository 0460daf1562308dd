// Start, watch and end calls. The page is in one call at a time: `state.call`.

import { api } from "./api.js";
import { Call } from "./call.js";
import { Player } from "./player.js";
import { simulateDialog } from "./simulate.js";
import { callerMetadata } from "./start.js";
import { state } from "./state.js";
import { BrowserVoice, usesBrowserVoice } from "./voice.js";
import { WatchedCall } from "./watched.js";

export class Calling {
  // `onStarted` is called with a call that was started on this page, and `onEnded` with one that has ended.
  constructor({ onChange, onStarted, onEnded, toast }) {
    Object.assign(this, { onChange, onStarted, onEnded, toast });
  }

  // Call the agent. With a conversation's id, continue that conversation.
  async start(agent, conversationId) {
    try {
      await this.open(agent, conversationId, callerMetadata());
    } catch (error) {
      this.toast(error.message);
    }
  }

  async open(agent, conversationId, metadata) {
    state.call?.leave();
    const call = state.call = this.listen(new Call(agent, sound));
    try {
      await call.open(conversationId, metadata);
    } catch (error) {
      if (call !== state.call) return;
      state.call = null;
      throw error;
    }
    // Another call may have been started before this one was open.
    if (call === state.call) this.onStarted(call);
  }

  // Let the developer choose a simulated caller. `again` is the request of an earlier call, which fills in the form.
  simulate(agent, again = null) {
    simulateDialog(agent, { onStarted: (call) => this.watch(call), again }).catch((error) => this.toast(error.message));
  }

  // Show a simulated call that was started on this page, and listen to it.
  async watch(call) {
    state.simulated.set(call.conversation_id, call);
    this.onStarted(await this.listenTo(call, true));
  }

  async listenTo({ asked, conversation_id: id }, fresh) {
    state.call?.leave();
    const call = state.call = this.listen(new WatchedCall(asked.agent, id, sound, { fresh }));
    await call.open();
    return call;
  }

  listen(call) {
    call.addEventListener("change", this.onChange);
    call.addEventListener("closed", () => this.onEnded(call));
    return call;
  }

  // Listen to the simulated call on screen if it still runs, for example after the page was reloaded.
  watchRunning() {
    const call = state.simulated.get(state.conversationId);
    if (call?.running && !state.call?.live && !state.call?.opening) this.listenTo(call, false);
  }

  async loadSimulated() {
    const { calls } = await api.simulatedCalls();
    state.simulated = new Map(calls.map((call) => [call.conversation_id, call]));
    this.watchRunning();
    this.onChange();
  }

  hangUp(call) {
    if (call.simulated) this.stop(call.conversationId);
    else call.leave();
  }

  // End a simulated call.
  stop(id) {
    api.stopSimulated(id).catch((error) => this.toast(error.message));
  }

  // Mute the agent, or let it be heard again, in this call and in the next ones, until the page is reloaded.
  toggleMuted() {
    state.muted = !state.muted;
    state.call?.player.setMuted(state.muted);
    this.onChange();
  }
}

function sound(onPlayed) {
  const player = usesBrowserVoice() ? new BrowserVoice(onPlayed) : new Player(onPlayed);
  player.setMuted(state.muted);
  return player;
}
