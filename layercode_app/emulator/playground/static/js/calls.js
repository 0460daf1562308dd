// The list of calls, with their latency.

import { h } from "./dom.js";
import { ago, money, ms, plural } from "./format.js";

export function callList(answer, { selected, onSelect, live }) {
  return [
    h("div", { class: "calls-head" }, h("h2", {}, "Time to first speech"), ladder(answer.all.ttfs || answer.all.ttfs_with_tools), note(answer)),
    h("ul", { class: "call-list" }, answer.conversations.map((call) => h("li", {}, row(call, selected, onSelect, live)))),
  ];
}

export function ladder(ranks) {
  const names = ["p50", "p90", "p95", "p99"];
  return h("dl", { class: "ladder" }, names.map((name) => h("div", {}, h("dt", {}, name), h("dd", {}, ms(ranks?.[name]).replace(" ms", "")))));
}

function note({ all, conversations }) {
  const { ttfs: plain, ttfs_with_tools: tools } = all;
  if (!plain && !tools) return h("p", { class: "calls-note" }, conversations.length ? "No turn is complete yet." : "Your calls will be listed here.");
  const what = plain ? plural(plain.count, "turn") : `${plural(tools.count, "turn")} with tools`;
  const more = plain && tools ? ` With tools: p50 ${ms(tools.p50)}.` : "";
  return h("p", { class: "calls-note" }, `${what}, in ms.${more} Interrupted turns are left out.`);
}

function row(call, selected, onSelect, live) {
  const badges = [
    call.conversation_id === live ? h("span", { class: "badge live" }, "live") : null,
    call.failed ? h("span", { class: "badge failed" }, `${call.failed} failed`) : null,
    call.interrupted ? h("span", { class: "badge cut" }, `${call.interrupted} cut`) : null,
  ].filter(Boolean);
  return h("button", { class: "call", "data-conversation": call.conversation_id, "aria-current": String(call.conversation_id === selected), onclick: () => onSelect(call.conversation_id) },
    h("span", { class: "title" }, call.title || "Only the greeting"),
    h("span", { class: "row" }, h("span", {}, `${call.agent}, ${plural(call.turns, "turn")}`), h("span", {}, ago(call.last_at))),
    h("span", { class: "row" },
      h("span", { class: "num" }, call.ttfs || call.ttfs_with_tools ? `p50 ${ms((call.ttfs || call.ttfs_with_tools).p50)}` : "", call.cost === null ? "" : ` ${money(call.cost, call.cost_is_partial)}`),
      h("span", {}, badges)));
}
