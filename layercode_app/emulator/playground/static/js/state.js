// What the page shows: the selected call and turn, and the call that the page is in.

export const state = { agents: [], failed: [], list: null, conversation: null, conversationId: null, turnId: null, following: true, call: null, missing: null, query: "", simulated: new Map(), muted: false };

// The live call if it is on screen, else null.
export function onScreen() {
  return state.call?.live && state.call.conversationId === state.conversationId ? state.call : null;
}

// The live call that gets the user's input: the call on screen, unless a simulated caller speaks in it.
export function spokenInto() {
  return onScreen()?.simulated ? null : onScreen();
}

// The turns of the selected call: the journal's, overlaid with the newer data of the live call.
export function turns() {
  const known = (state.conversation?.turns || []).map((turn) => overlay(turn));
  if (state.call?.conversationId !== state.conversationId) return known;
  const ids = new Set(known.map((turn) => turn.turn_id));
  for (const early of Array.from(state.call.turns.values()).filter((live) => !ids.has(live.id))) {
    const later = known.findIndex((turn) => turn.started_at > early.began);
    known.splice(later < 0 ? known.length : later, 0, asTurn(early));
  }
  return known;
}

export function overlay(turn) {
  const live = state.call?.conversationId === state.conversationId ? state.call.turns.get(turn.turn_id) : null;
  if (!live) return turn.status === "running" && !turn.live ? { ...turn, status: "unfinished" } : turn;
  const spoken = turn.spoken_text.length >= live.text.length ? turn.spoken_text : live.text;
  return { ...turn, spoken_text: spoken, data: live.data.length ? live.data : turn.data || [], ...cutOf(live, spoken, turn) };
}

function cutOf(live, spoken, turn) {
  if (!live.interrupted || live.heard === null || !spoken.startsWith(live.heard)) return {};
  return { heard: live.heard, cut: spoken.slice(live.heard.length), status: turn.status === "complete" ? "interrupted" : turn.status };
}

function asTurn(live) {
  const turn = {
    turn_id: live.id, conversation_id: state.conversationId, agent: state.call.agent, kind: live.user ? "message" : "greeting", user_text: live.user,
    spoken_text: live.text, heard: live.text, cut: "", started_at: live.began, status: live.error ? "failed" : live.over ? "complete" : "running", timings: {}, tools: [], data: live.data, error_category: live.error ? "not answered" : null,
    error: live.error,
  };
  return { ...turn, ...cutOf(live, live.text, turn) };
}

// The share of a turn's words that was played, as far as the audio player knows.
export function progress(turn) {
  return state.call?.conversationId === state.conversationId ? state.call.share(turn.turn_id) : null;
}

// "thinking" or "speaking" for a turn that is not over, else null.
export function stateOf(turn) {
  const live = onScreen()?.turns.get(turn.turn_id);
  if (live) return live.over ? null : onScreen().state;
  if (turn.status !== "running") return null;
  return turn.spoken_text ? "speaking" : "thinking";
}

export function agentNamed(name) {
  return state.agents.find((agent) => agent.name === name);
}
