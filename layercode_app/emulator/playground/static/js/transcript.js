// The conversation as heard. Words that the caller did not hear are struck through; words not yet played are faded.

import { h } from "./dom.js";
import { ms, money, statusBadge, statusName, wordsUpTo } from "./format.js";

export function transcript(turns, { selected, onSelect, progress = () => null, stateOf = () => null }) {
  const numbers = new Map(turns.filter(isSpoken).map((turn, index) => [turn.turn_id, index + 1]));
  return h("ol", { class: "transcript", id: "transcript" }, turns.map((turn) =>
    isSpoken(turn) ? exchange(turn, numbers.get(turn.turn_id), { selected, onSelect, progress, stateOf }) : aside(turn)));
}

export function isSpoken(turn) {
  return turn.kind === "greeting" || turn.kind === "message";
}

function exchange(turn, number, { selected, onSelect, progress, stateOf }) {
  const state = stateOf(turn);
  const choose = () => onSelect(turn.turn_id);
  const keys = (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(); }
    if (event.key === "ArrowDown" || event.key === "ArrowUp") step(event, onSelect);
  };
  return h("li", {}, h("div", {
    class: "exchange", role: "button", tabindex: "0", "data-turn": turn.turn_id, "data-status": turn.status,
    "aria-pressed": String(turn.turn_id === selected), "aria-label": `Turn ${number}, ${state || statusName(turn.status)}`, onclick: choose, onkeydown: keys,
  }, turn.user_text ? h("p", { class: "said" }, turn.user_text) : null, reply(turn, progress(turn), state), meta(turn, state)));
}

// Select the next or the previous turn. On a phone the transcript stays in view, and Enter opens the turn.
function step(event, onSelect) {
  const all = Array.from(event.currentTarget.closest(".transcript").querySelectorAll(".exchange"));
  const next = all[all.indexOf(event.currentTarget) + (event.key === "ArrowDown" ? 1 : -1)];
  if (!next) return;
  event.preventDefault();
  next.focus();
  onSelect(next.dataset.turn, { stay: true });
}

export function reply(turn, share, state) {
  const text = turn.spoken_text || "";
  if (!text.trim()) return h("p", { class: "reply" }, state ? h("span", { class: "thinking" }, "thinking") : silence(turn));
  const heard = turn.cut ? turn.heard : share === null || share === undefined ? text : wordsUpTo(text, share);
  const rest = text.slice(heard.length);
  return h("p", { class: "reply" },
    h("span", { class: "heard" }, heard),
    rest ? h("span", { class: turn.cut ? "cut" : "waiting", title: turn.cut ? "The caller did not hear this" : null }, rest) : null);
}

function silence(turn) {
  const what = turn.status === "unfinished" ? "There is no answer yet." : turn.kind === "greeting" ? "No greeting." : "The agent said nothing.";
  return h("span", { class: "silent" }, what);
}

function meta(turn, state) {
  const parts = [];
  if (turn.timings?.ttfs !== undefined) parts.push(h("span", { class: "num", title: "Time to first speech" }, ms(turn.timings.ttfs)));
  if (turn.cost !== null && turn.cost !== undefined) parts.push(h("span", { class: "num" }, money(turn.cost, turn.cost_is_partial)));
  const badge = statusBadge(turn.status);
  if (state) parts.push(turn.spoken_text ? h("span", { class: "badge live" }, state) : null);
  else if (badge) parts.push(h("span", { class: `badge ${badge}` }, statusName(turn.status)));
  else if (turn.cut) parts.push(h("span", { class: "badge cut" }, "interrupted"));
  if (turn.error_category) parts.push(h("span", { class: "badge failed" }, turn.error_category));
  for (const [name, all] of grouped(turn.tools || [], (tool) => tool.name)) {
    parts.push(h("span", { class: "chip tool", title: all.map((tool) => `${tool.name} ${tool.status}`).join(", ") }, times(name, all)));
  }
  for (const [name, all] of grouped(turn.data || [], dataName)) {
    parts.push(h("span", { class: "chip", title: all.map((data) => JSON.stringify(data)).join("\n") }, times(name, all)));
  }
  return h("div", { class: "meta" }, parts);
}

function grouped(items, name) {
  const groups = new Map();
  for (const item of items) groups.set(name(item), [...(groups.get(name(item)) || []), item]);
  return groups;
}

function times(name, all) {
  return all.length > 1 ? `${name} \u00d7${all.length}` : name;
}

function dataName(data) {
  return data && typeof data === "object" && !Array.isArray(data) ? `data ${Object.keys(data).join(", ")}` : `data ${JSON.stringify(data)}`;
}

function aside(turn) {
  const event = turn.event || {};
  const text = turn.kind === "data" ? `data ${JSON.stringify(event.data)}` : event.type || turn.kind;
  return h("li", { class: "aside-row" }, h("span", { class: "chip" }, text));
}
