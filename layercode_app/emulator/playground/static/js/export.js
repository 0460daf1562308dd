// An exported call: the same transcript and inspector, with the data in the page itself.

import { byId, fill, h } from "./dom.js";
import { plural } from "./format.js";
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
  fill(byId("top-call"), h("span", { class: "who" }, `${call.agent}, ${plural(spoken.length, "turn")}`));
  if (spoken.length) select(spoken.at(-1).turn_id);
}
