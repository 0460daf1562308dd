// The header of a call: its agent and version, its start, its length and its cost.

import { breakable, h } from "./dom.js";
import { day, duration, money, plural, timeOfDay, UNKNOWN } from "./format.js";

// `call` is a row of the list of calls. `agent` is the current version of the agent, if it is loaded.
export function callHead(call, agent) {
  const version = call.version || null;
  const changed = version && agent && agent.version !== version;
  const facts = [
    version && ["version", h("span", { class: "num" }, version), changed ? h("span", { class: "muted" }, " (older)") : null],
    call.simulated && ["caller", `simulated: ${call.simulated}`],
    ["began", `${day(call.started_at)}, ${timeOfDay(call.started_at)}`],
    ["length", duration(call.seconds)],
    ["turns", String(call.turns)],
    ["cost", call.cost === null ? UNKNOWN : money(call.cost, call.cost_is_partial)],
  ].filter(Boolean);
  return [h("h2", {}, breakable(call.agent)),
    h("dl", { "aria-label": `${plural(call.turns, "turn")} with ${call.agent}` }, facts.map(([name, ...value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))))];
}
