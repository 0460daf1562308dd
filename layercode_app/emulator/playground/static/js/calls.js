// The list of calls by day, with search, filters and the time to first speech.

import { fill, h } from "./dom.js";
import { day, duration, inOneUnit, money, plural, timeOfDay } from "./format.js";

const KINDS = { failed: "failed", silent: "silent", slow: "slow", interrupted: "interrupted" };
// The minimum number of turns for each percentile.
const ENOUGH = { p50: 5, p90: 10, p95: 20, p99: 100 };

export class CallList {
  constructor(root, { onSelect, onSearch }) {
    Object.assign(this, { onSelect, onSearch });
    this.search = h("input", { type: "search", id: "call-search", placeholder: "Search calls", "aria-label": "Search calls by what was said, agent or id", autocomplete: "off", spellcheck: "false", oninput: () => onSearch(this.search.value.trim()) });
    this.kind = h("select", { id: "call-kind", "aria-label": "Kind of call", onchange: () => this.draw() });
    this.agent = h("select", { id: "call-agent", "aria-label": "Agent", onchange: () => this.draw() });
    this.latency = h("section", { class: "latency", "aria-label": "Time to first speech" });
    this.list = h("div", { class: "call-list" });
    fill(root, h("div", { class: "calls-head" }, this.latency,
      h("div", { class: "filters" }, this.search, this.kind, this.agent)), this.list);
  }

  show(answer, { selected, live }) {
    Object.assign(this, { answer, selected, live });
    this.draw();
  }

  draw() {
    const { all, conversations } = this.answer;
    fill(this.latency, latency(all));
    options(this.kind, [["", "All calls"], ...Object.entries(KINDS).map(([kind, name]) => [kind, `${name} (${conversations.filter((call) => call[kind]).length})`])]);
    options(this.agent, [["", "All agents"], ...[...new Set(conversations.map((call) => call.agent))].sort().map((name) => [name, name])]);
    const found = conversations.filter((call) => (!this.kind.value || call[this.kind.value]) && (!this.agent.value || call.agent === this.agent.value));
    fill(this.list, found.length ? byDay(found).map(([name, calls]) => this.group(name, calls)) : this.nothing());
  }

  group(name, calls) {
    return h("section", { class: "day" }, h("h3", {}, name), h("ul", {}, calls.map((call) => h("li", {}, this.row(call)))));
  }

  row(call) {
    const cost = call.cost ? money(call.cost, call.cost_is_partial) : null;
    const about = [call.agent, plural(call.turns, "turn"), duration(call.seconds), cost].filter(Boolean).join(" · ");
    return h("button", { class: "call", "data-conversation": call.conversation_id, "aria-current": String(call.conversation_id === this.selected), onclick: () => this.onSelect(call.conversation_id) },
      h("span", { class: "title" }, call.title || "Only the greeting"),
      h("span", { class: "row" }, h("span", {}, about), h("span", { class: "num" }, timeOfDay(call.started_at))),
      h("span", { class: "badges" }, badges(call, call.conversation_id === this.live)));
  }

  nothing() {
    if (!this.search.value && !this.kind.value && !this.agent.value) return h("p", { class: "calls-note" }, "Your calls will be listed here.");
    const clear = () => { this.search.value = this.kind.value = this.agent.value = ""; this.onSearch(""); this.draw(); };
    return h("p", { class: "calls-note" }, "No call matches. ", h("button", { class: "small", id: "clear-filters", onclick: clear }, "Show all"));
  }
}

// Replace the options of a select, and keep the selected one.
function options(select, entries) {
  const chosen = select.value;
  if (chosen && !entries.some(([value]) => value === chosen)) entries.push([chosen, chosen]);
  fill(select, entries.map(([value, name]) => h("option", { value }, name)));
  select.value = chosen;
}

function byDay(calls) {
  const days = new Map();
  for (const call of calls) {
    const name = day(call.last_at);
    days.set(name, [...(days.get(name) || []), call]);
  }
  return Array.from(days);
}

function badges(call, live) {
  const counted = (kind, style) => (call[kind] ? h("span", { class: `badge ${style}` }, `${call[kind]} ${KINDS[kind]}`) : null);
  return [live ? h("span", { class: "badge live" }, "live") : null, call.simulated ? h("span", { class: "badge simulated-by", title: "A simulated caller" }, `simulated: ${call.simulated}`) : null, counted("failed", "failed"), counted("silent", "failed"), counted("slow", "cut"), counted("interrupted", "cut")];
}

// The percentiles for which there are enough turns, all in one unit.
function latency({ ttfs: plain, ttfs_with_tools: tools }) {
  const shown = [plain, tools].find((ranks) => ranks?.count >= ENOUGH.p50);
  const count = Math.max(plain?.count || 0, tools?.count || 0);
  const heading = (unit) => h("h2", {}, "Time to first speech", unit ? h("span", { class: "unit" }, ` in ${unit}`) : null);
  if (!shown) return [heading(), h("p", { class: "calls-note" }, `${count ? plural(count, "turn") : "No turns"} so far. Percentiles appear after ${ENOUGH.p50} complete turns. Turns with tools are counted separately.`)];
  const names = Object.keys(ENOUGH).filter((name) => shown.count >= ENOUGH[name]);
  const other = shown === plain && tools?.count >= ENOUGH.p50 ? tools.p50 : null;
  const { unit, texts } = inOneUnit([...names.map((name) => shown[name]), other]);
  const note = `${plural(shown.count, "turn")}${shown === tools ? " with tools" : ""}.${other === null ? "" : ` With tools: p50 ${texts.at(-1)}.`}`;
  return [heading(unit),
    h("dl", { class: "ladder", style: { "--columns": names.length } }, names.map((name, place) => h("div", {}, h("dt", {}, name), h("dd", {}, texts[place])))),
    h("p", { class: "calls-note" }, `${note} Interrupted and failed turns are not counted.`)];
}
