// The switch between all calls and the calls to review, and the queue: the most serious call first, with its reasons.

import { fill, h } from "./dom.js";
import { day, money, plural, timeOfDay } from "./format.js";

const PERIODS = { "7d": "Last 7 days", "30d": "Last 30 days", "": "Any time" };

export class ReviewList {
  constructor(pane, { onSwitch, onAsk, onSelect, onRetry }) {
    Object.assign(this, { pane, onSelect, onRetry });
    const option = (on, id, ...text) => h("button", { type: "button", id, "aria-pressed": "false", onclick: () => onSwitch(on) }, ...text);
    this.count = h("span", { class: "count" });
    this.buttons = [option(false, "all-calls", "All calls"), option(true, "review-calls", "Review ", this.count)];
    this.since = h("select", { id: "review-since", "aria-label": "Period", onchange: () => onAsk({ since: this.since.value }) },
      Object.entries(PERIODS).map(([value, name]) => h("option", { value }, name)));
    this.reviewed = h("input", { type: "checkbox", id: "review-reviewed", onchange: () => onAsk({ reviewed: this.reviewed.checked }) });
    this.calls = h("div", { class: "call-list review-calls" });
    this.panel = h("section", { class: "review-list", "aria-label": "Calls to review", hidden: true },
      h("div", { class: "review-filters" }, this.since, h("label", {}, this.reviewed, "Show reviewed")), this.calls);
    pane.prepend(h("div", { class: "calls-switch", role: "group", "aria-label": "Calls to list" }, this.buttons));
    pane.append(this.panel);
  }

  show({ on, queue, asked, selected }) {
    this.selected = selected;
    this.pane.toggleAttribute("data-review", on);
    this.panel.hidden = !on;
    this.buttons.forEach((button, place) => button.setAttribute("aria-pressed", String(Boolean(place) === on)));
    this.since.value = asked.since;
    this.reviewed.checked = asked.reviewed;
    const waiting = queue?.calls.filter((call) => !call.review).length;
    this.count.textContent = on && waiting ? `${waiting}${waiting === queue.most ? "+" : ""}` : "";
    const now = JSON.stringify([on, queue, asked]);
    if (now === this.drawn) return;
    this.drawn = now;
    this.draw(on && queue, asked);
  }

  draw(queue, asked) {
    const focused = this.calls.contains(document.activeElement) ? document.activeElement.dataset.conversation : null;
    fill(this.calls, queue ? this.content(queue, asked) : null);
    if (focused) (this.row(focused) || this.row(this.selected))?.focus({ preventScroll: true });
  }

  content({ calls, error, most }, asked) {
    if (error) return h("div", { class: "error-box", role: "alert", id: "review-error" }, h("p", {}, `The calls to review cannot be listed. ${error}`), h("div", {}, h("button", { class: "small", type: "button", onclick: this.onRetry }, "Try again")));
    if (!calls.length) return h("p", { class: "calls-note", id: "review-empty" }, nothing(asked));
    return [h("ol", {}, calls.map((call) => h("li", {}, this.button(call)))), calls.length === most ? h("p", { class: "calls-note" }, `These are the first ${most} calls. The others follow when you have reviewed some.`) : null];
  }

  button(call) {
    const about = [call.agent, plural(call.turns, "turn"), call.cost ? money(call.cost) : null].filter(Boolean).join(" · ");
    return h("button", { class: "call", type: "button", "data-conversation": call.conversation_id, "aria-current": String(call.conversation_id === this.selected), onclick: () => this.onSelect(call.conversation_id) },
      h("span", { class: "title" }, call.first_words || "Only the greeting"),
      call.reasons.map((reason) => h("span", { class: "reason" }, reason)),
      h("span", { class: "row" }, h("span", {}, about), h("span", { class: "num" }, `${day(call.started_at)}, ${timeOfDay(call.started_at)}`)),
      call.review ? h("span", { class: "badges" }, verdict(call.review), call.review.comment ? h("span", { class: "reason note" }, call.review.comment) : null) : null);
  }

  row(id) {
    return id ? this.calls.querySelector(`[data-conversation="${CSS.escape(id)}"]`) : null;
  }

  select(id) {
    if (id === this.selected) return;
    this.row(this.selected)?.setAttribute("aria-current", "false");
    this.selected = id;
    this.row(id)?.setAttribute("aria-current", "true");
    this.row(id)?.scrollIntoView({ block: "nearest" });
  }
}

export function verdict({ value }) {
  return value ? h("span", { class: "badge live" }, "good") : h("span", { class: "badge failed" }, "bad");
}

function nothing({ since, reviewed }) {
  const when = { "7d": " in the last 7 days", "30d": " in the last 30 days" }[since] || "";
  return reviewed ? `No call${when} was worth a look.` : `No calls to review${when}.`;
}
