// Load what the page shows: the list of calls, the selected call and the selected turn.

import { api } from "./api.js";
import { released } from "./press.js";
import { isSpoken } from "./transcript.js";
import { overlay, state, turns } from "./state.js";

export class Loading {
  // `onList` and `onConversation` are called when `state.list` and `state.conversation` have changed.
  constructor(inspector, { onList, onConversation }) {
    Object.assign(this, { inspector, onList, onConversation });
    this.conversationSoon = soon(() => this.conversation(), 120);
    this.turnSoon = soon(() => this.turn(), 160);
    this.listSoon = soon(() => this.list(), 500);
    this.searchSoon = soon(() => this.list(), 150);
  }

  async list() {
    const inTime = ask("list");
    const found = await api.conversations(state.query);
    await released();
    if (!inTime()) return;
    state.list = found;
    this.onList();
  }

  async conversation() {
    const id = state.conversationId;
    const inTime = ask("conversation");
    if (!id) return;
    if (state.call?.conversationId === id && state.call.isNew) return;
    const found = await api.conversation(id).catch((error) => ({ error }));
    if (id !== state.conversationId || !inTime()) return;
    state.missing = found.error && !state.conversation && state.call?.conversationId !== id ? found.error.message : null;
    if (!found.error) state.conversation = found;
    this.onConversation();
    if (isOutdated(this.inspector.turn)) this.turn();
  }

  async turn() {
    const { conversationId, turnId } = state;
    const inTime = ask("turn");
    if (!turnId) return this.inspector.empty();
    const recorded = state.conversation?.turns.some((turn) => turn.turn_id === turnId);
    const found = recorded ? await api.turn(conversationId, turnId).catch(() => null) : null;
    await released();
    if (turnId !== state.turnId || conversationId !== state.conversationId || !inTime()) return;
    const number = turns().filter(isSpoken).findIndex((turn) => turn.turn_id === turnId) + 1;
    const known = found ? { ...found, ...pick(overlay(found), ["cut", "heard", "status", "spoken_text"]) } : turns().find((turn) => turn.turn_id === turnId);
    if (known) this.inspector.show(known, number);
  }
}

// Whether the journal has newer data of the selected turn than the inspector shows. The inspector may still show data
// of the live call.
function isOutdated(shown) {
  if (shown?.turn_id !== state.turnId) return true;
  const recorded = state.conversation?.turns.find((turn) => turn.turn_id === state.turnId);
  return Boolean(recorded) && (!shown.frames || shown.status !== overlay(recorded).status);
}

// Answers may arrive out of order. Return a function that checks, when an answer has arrived, whether it is at least as
// new as the one on screen. If so, it counts as the one on screen.
let asked = 0;
const shownOf = { conversation: 0, turn: 0, list: 0 };
function ask(what) {
  const mine = ++asked;
  return () => {
    if (mine < shownOf[what]) return false;
    shownOf[what] = mine;
    return true;
  };
}

function pick(from, names) {
  return Object.fromEntries(names.map((name) => [name, from[name]]));
}

// Return a function that starts the work after `wait` milliseconds, however often it is called until then.
export function soon(work, wait) {
  let timer = null;
  return () => { timer ??= setTimeout(() => { timer = null; work().catch((error) => console.warn(error.message)); }, wait); };
}
