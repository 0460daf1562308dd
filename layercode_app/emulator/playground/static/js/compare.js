// Compare the recorded turns with the forked ones: first their figures, then their words.

import { h } from "./dom.js";
import { failureBox } from "./failure.js";
import { listenButton } from "./listen.js";
import { count, money, ms, UNKNOWN } from "./format.js";

// `forks` has one or two objects {name, fork, error}. All forks begin at the same turn.
export function comparison(forks) {
  const done = forks.filter((one) => one.fork);
  const longest = done.reduce((most, one) => Math.max(most, one.fork.turns.length), 0);
  const pairs = Array.from({ length: longest }, (_, index) => ({
    old: done.map((one) => one.fork.turns[index]?.old).find(Boolean) || null,
    forked: forks.map((one) => ({ name: one.name, error: one.error, pair: one.fork?.turns[index] || null })),
  }));
  const number = done[0].fork.number;
  return h("div", { class: "fork-result", id: "fork-result" }, pairs.map(({ old, forked }, index) => h("section", { class: "fork-pair" },
    h("div", { class: "section-head" }, h("h3", {}, `Turn ${number + index}, forked`)),
    figuresTable(old, forked), sides(old, forked))));
}

// --- figures

const FIGURES = [
  ["first speech", (turn) => turn.ttfs_ms, ms],
  ["answer", (turn) => turn.answer_ms, ms],
  ["whole turn", (turn) => turn.total_ms, ms],
  ["tokens", (turn) => (turn.input_tokens === null ? null : turn.input_tokens + turn.output_tokens), count],
  ["cost", (turn) => (turn.input_tokens === null ? null : turn.cost), money],
];

function figuresTable(old, forked) {
  const turns = forked.map((one) => one.pair?.new || null);
  const head = h("tr", {}, h("td", {}), h("th", { scope: "col" }, "As it was"), forked.map((one) => h("th", { scope: "col" }, one.name)));
  // The time of the answer is shown only if a filler came before the answer.
  const filled = [old, ...turns].some((turn) => turn && turn.answer_ms !== turn.ttfs_ms);
  const rows = FIGURES.filter(([name]) => name !== "answer" || filled).map(([name, of, format]) => {
    const before = old ? of(old) : null;
    return h("tr", {}, h("th", { scope: "row" }, name), h("td", { class: "num" }, shownValue(before, format, old)),
      turns.map((turn) => (turn ? h("td", { class: "num" }, shownValue(of(turn), format, turn), difference(of(turn), before, format)) : h("td", {}, UNKNOWN))));
  });
  const models = h("tr", {}, h("th", { scope: "row" }, "model"), [old, ...turns].map((turn) => h("td", { class: "num model" }, turn?.model || UNKNOWN)));
  return h("table", { class: "fork-figures" }, h("thead", {}, head), h("tbody", {}, rows, models));
}

function shownValue(value, format, turn) {
  if (value === null || value === undefined) return UNKNOWN;
  return format === money ? money(value, turn.cost_is_partial) : format(value);
}

// The change of a figure, also in percent. Lower is better for all of these figures.
function difference(now, before, format) {
  if (typeof now !== "number" || typeof before !== "number") return null;
  const change = now - before;
  const share = before ? Math.round((100 * change) / before) : null;
  if (!change || share === 0) return h("span", { class: "delta" }, "same");
  const sign = change < 0 ? "\u2212" : "+";
  return h("span", { class: `delta ${change < 0 ? "better" : "worse"}` },
    h("span", {}, `${sign}${format(Math.abs(change))}`), share === null ? null : h("span", {}, `(${sign}${Math.abs(share)}\u00a0%)`));
}

// --- words

function sides(old, forked) {
  const two = forked.length > 1;
  const diff = two ? null : forked[0].pair?.diff;
  return h("div", { class: `sides${two ? " three" : ""}` },
    side("As it was", old, diff, "removed"),
    forked.map((one) => (one.pair ? side(one.name, one.pair.new, one.pair.diff, "added") : refused(one))));
}

function refused({ name, error }) {
  return h("div", { class: "side" }, h("h4", {}, name), h("p", { class: "error-box", role: "alert" }, error || "The call ended before this turn."));
}

function side(title, turn, diff, own) {
  if (!turn) return h("div", { class: "side" }, h("h4", {}, title), h("p", { class: "muted" }, "The caller said nothing more."));
  const words = diff ? diff.filter((run) => run.kind === "same" || run.kind === own)
    .map((run) => run.kind === "same" || !run.text.trim() ? run.text : h(own === "added" ? "ins" : "del", {}, run.text)) : turn.text;
  return h("div", { class: "side" }, h("div", { class: "section-head" }, h("h4", {}, title), listenButton(turn.text)),
    turn.user_text ? h("p", { class: "said small" }, turn.user_text) : null,
    h("p", { class: "words" }, words.length ? words : UNKNOWN),
    turn.tools.map(tool),
    turn.error ? failureBox({ error_category: turn.error, failure: turn.failure, impact: "" }) : null);
}

function tool(call) {
  const note = { recording: "answered from its recording", nothing: "not run: the recording has no such call", tool: "" }[call.answered_by];
  return h("div", { class: "small" }, h("span", { class: "chip tool" }, `${call.name}(${JSON.stringify(call.args)})`), note ? h("span", { class: "muted" }, ` ${note}`) : null);
}
