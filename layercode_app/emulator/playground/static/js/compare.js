// Show the recorded and the forked turn side by side, and mark the words that differ.

import { h } from "./dom.js";
import { listenButton } from "./listen.js";
import { money, ms, UNKNOWN } from "./format.js";

export function comparison(fork) {
  return h("div", { class: "fork-result", id: "fork-result" }, fork.turns.map((pair) => pairView(pair)));
}

function pairView({ old, new: now, diff }) {
  return h("div", { class: "sides" },
    side("As it was", old, diff, "removed", null),
    side("Forked", now, diff, "added", old));
}

function side(title, turn, diff, own, other) {
  if (!turn) return h("div", { class: "side" }, h("h4", {}, title), h("p", { class: "muted" }, "The caller said nothing more."));
  const words = diff.filter((run) => run.kind === "same" || run.kind === own)
    .map((run) => run.kind === "same" ? run.text : h(own === "added" ? "ins" : "del", {}, run.text));
  return h("div", { class: "side" }, h("div", { class: "section-head" }, h("h4", {}, title), listenButton(turn.text)),
    turn.user_text ? h("p", { class: "said small" }, turn.user_text) : null,
    h("p", { class: "words" }, words.length ? words : UNKNOWN),
    h("dl", { class: "kv" },
      row("first speech", ms(turn.ttfs_ms), compare(turn.ttfs_ms, other?.ttfs_ms)),
      row("whole turn", ms(turn.total_ms)),
      row("tokens", turn.input_tokens === null ? UNKNOWN : `${turn.input_tokens} + ${turn.output_tokens}`),
      row("cost", turn.input_tokens === null ? UNKNOWN : money(turn.cost, turn.cost_is_partial), compare(turn.cost, other?.cost)),
      row("model", turn.model || UNKNOWN)),
    turn.error ? h("span", { class: "badge failed" }, turn.error) : null,
    turn.tools.map(tool));
}

function compare(now, before) {
  if (now === null || before === null || now === undefined || before === undefined || now === before) return "";
  return now < before ? "better" : "worse";
}

function row(name, value, kind = "") {
  return [h("dt", {}, name), h("dd", { class: kind }, value)];
}

function tool(call) {
  const note = { recording: "answered from its recording", nothing: "not run: the recording has no such call", tool: "" }[call.answered_by];
  return h("div", { class: "small" }, h("span", { class: "chip tool" }, `${call.name}(${JSON.stringify(call.args)})`), note ? h("span", { class: "muted" }, ` ${note}`) : null);
}
