// An exported call: the same transcript and inspector, with the data in the page itself.

import { byId, fill, h } from "./dom.js";
import { Inspector } from "./inspector.js";
import { isSpoken, transcript } from "./transcript.js";

export function showExport(call) {
  const inspector = new Inspector(byId("turn"));
  const spoken = call.turns.filter(isSpoken);
  const select = (id) => {
    fill(byId("transcript-scroll"), transcript(call.turns, { selected: id, onSelect: select }));
    inspector.show(call.turns.find((turn) => turn.turn_id === id), spoken.findIndex((turn) => turn.turn_id === id) + 1);
    byId("transcript-scroll").querySelector(`[data-turn="${CSS.escape(id)}"]`)?.focus({ preventScroll: true });
  };
  fill(byId("top-call"), facts(call, spoken.length));
  if (spoken.length) select(spoken.at(-1).turn_id);
}

// Facts about the call and about this file.
function facts(call, turns) {
  const sessions = [...new Set(call.turns.map((turn) => turn.session_id).filter(Boolean))];
  const { at, version, masked } = call.exported;
  return h("dl", { class: "facts" },
    fact("Date", call.started_at ? dateAndTime(call.started_at) : "unknown"),
    fact("Turns", String(turns)),
    fact("Conversation", h("code", null, call.conversation_id)),
    sessions.length ? fact(sessions.length > 1 ? "Sessions" : "Session", sessions.map((id) => h("code", null, id))) : null,
    fact("Exported", `${dateAndTime(at)} by layercode-app ${version}`),
    fact("Personal details", masked ? "masked" : "not masked"));
}

function fact(name, value) {
  return h("div", null, h("dt", null, name), h("dd", null, value));
}

function dateAndTime(seconds) {
  return new Date(seconds * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}
