// Show the selected turn in tabs; it is redrawn while the turn runs.

import { eventPanel, framesPanel, logsPanel, messagesPanel, nothing, timePanel } from "./details.js";
import { fill, h } from "./dom.js";
import { statusBadge, statusName } from "./format.js";

const TABS = [["time", "Time"], ["messages", "Messages"], ["frames", "Frames"], ["event", "Event"], ["logs", "Logs"], ["fork", "Fork"]];

export class Inspector {
  constructor(root, { loadLogs = null, forkPanel = null, headTools = () => null } = {}) {
    this.root = root;
    this.loadLogs = loadLogs;
    this.forkPanel = forkPanel;
    this.headTools = headTools;
    this.tab = "time";
    this.turn = null;
    this.empty();
  }

  get tabs() {
    return TABS.filter(([id]) => (id !== "logs" || this.loadLogs) && (id !== "fork" || this.forkPanel));
  }

  empty() {
    this.turn = null;
    fill(this.root, h("div", { class: "nothing" }, h("p", {}, "Select a turn to see inside it: where its time went, every frame, what the model was told.")));
  }

  show(turn, number) {
    const same = this.turn?.turn_id === turn.turn_id;
    if (same && JSON.stringify(this.turn) === JSON.stringify(turn)) return;
    this.turn = turn;
    this.number = number;
    // Do not redraw a form while it is being filled in.
    if (same && this.tab === "fork" && this.body) return this.drawHead();
    this.draw();
  }

  draw() {
    const focused = this.root.querySelector('[role="tab"]:focus');
    this.head = h("div", { class: "turn-head" });
    this.bar = h("div", { class: "tabs", role: "tablist", "aria-label": "Parts of the turn" });
    this.body = h("div", { class: "panel", role: "tabpanel", tabindex: "-1" });
    fill(this.root, this.head, this.bar, this.body);
    this.drawHead();
    this.drawBody();
    if (focused) this.bar.querySelector('[aria-selected="true"]')?.focus();
  }

  drawHead() {
    const turn = this.turn;
    const badge = statusBadge(turn.status) || (turn.cut ? "cut" : "");
    fill(this.head, h("h2", {}, `Turn ${this.number}`),
      badge ? h("span", { class: `badge ${badge}` }, turn.cut ? "interrupted" : statusName(turn.status)) : null,
      h("div", { class: "right" }, this.headTools(turn)));
    const counts = { messages: turn.messages?.length, frames: turn.frames?.length };
    fill(this.bar, this.tabs.map(([id, name]) => h("button", {
      type: "button", role: "tab", id: `tab-${id}`, "aria-selected": String(id === this.tab), tabindex: id === this.tab ? "0" : "-1",
      onclick: () => this.choose(id), onkeydown: (event) => this.move(event),
    }, name, counts[id] ? h("span", { class: "count" }, counts[id]) : null)));
  }

  choose(id) {
    this.tab = id;
    this.draw();
    this.root.scrollTop = 0;
  }

  move(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const names = this.tabs.map(([id]) => id);
    this.choose(names[(names.indexOf(this.tab) + step + names.length) % names.length]);
    this.bar.querySelector('[aria-selected="true"]').focus();
  }

  drawBody() {
    const turn = this.turn;
    if (this.tab === "logs") return this.drawLogs(turn);
    const panels = { time: timePanel, messages: messagesPanel, frames: framesPanel, event: eventPanel, fork: this.forkPanel };
    fill(this.body, [panels[this.tab](turn, (tab, key) => this.go(tab, key))].flat());
  }

  // Show a part of another tab, such as the message that belongs to a bar, and mark it.
  go(tab, key) {
    this.choose(tab);
    const found = this.body.querySelector(`[data-key="${key}"]`);
    if (!found) return;
    found.classList.add("found");
    if (!found.matches("button")) found.tabIndex = -1;
    found.focus({ preventScroll: true });
    found.scrollIntoView({ block: "center" });
  }

  async drawLogs(turn) {
    fill(this.body, nothing("Reading the log files…"));
    const answer = await this.loadLogs(turn).catch((error) => ({ error }));
    if (this.turn !== turn || this.tab !== "logs") return;
    fill(this.body, answer.error ? nothing(answer.error.message) : logsPanel(answer));
  }
}
