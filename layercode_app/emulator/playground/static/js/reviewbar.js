// The bar below a call under review: why it is in the queue, the verdict, a note, the next call, and its scenario.

import { fill, h } from "./dom.js";
import { ScenarioForm } from "./reviewscenario.js";

const LONGEST = 60;

export class ReviewBar {
  // `drafts` keeps the note and the goal that were typed for a call: get(id) and set(id, draft).
  constructor(talk, { onVerdict, onNext, onUndo, onNote, toast, drafts }) {
    this.drafts = drafts;
    // A double click counts once: the second click would hit the next call.
    const deed = (id, key, name, work, more) => h("button", { type: "button", id, "data-once": true, "aria-keyshortcuts": key, onclick: work, ...more }, name, h("kbd", { "aria-hidden": "true" }, key));
    this.good = deed("review-good", "g", "Good", () => onVerdict(true), { class: "good" });
    this.bad = deed("review-bad", "b", "Bad", () => onVerdict(false), { class: "bad" });
    this.make = deed("review-make", "s", "Make it a scenario", () => this.toggleScenario(), { "aria-expanded": "false", "aria-controls": "review-scenario" });
    this.input = h("input", { type: "text", id: "review-note", "aria-label": "Note, saved with the verdict", placeholder: "Note, saved with the verdict (n)", autocomplete: "off", "aria-keyshortcuts": "n", oninput: () => this.keep({ note: this.note }) });
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") { event.preventDefault(); onNote(); this.input.blur(); }
      if (event.key === "Escape") this.input.blur();
    });
    this.why = h("p", { class: "review-why" });
    this.done = h("span", { role: "status" });
    this.back = deed("review-undo", "u", "Undo", onUndo, { class: "small", hidden: true });
    this.form = new ScenarioForm({ onClose: () => this.toggleScenario(false), onGoal: (goal) => this.keep({ goal }), toast });
    this.root = h("section", { class: "review-bar", id: "review-bar", "aria-label": "Review of this call", hidden: true },
      this.why, this.form.root, this.input,
      h("div", { class: "deeds" }, this.good, this.bad, deed("review-next", "k", "Next", onNext), this.make),
      h("div", { class: "review-done" }, this.done, this.back));
    talk.append(this.root);
  }

  // Whether the call on screen is loaded and can get a verdict.
  get ready() {
    return !this.root.hidden && this.loaded;
  }

  get note() {
    return this.input.value.trim();
  }

  keep(part) {
    this.drafts.set(this.id, { ...this.drafts.get(this.id), ...part });
  }

  // Draw only what changed: this is called often while an agent speaks.
  show({ on, id, loaded, reasons, review, last }) {
    this.root.hidden = !on;
    this.loaded = loaded;
    this.back.hidden = !last;
    const now = JSON.stringify([on, id, loaded, reasons, review]);
    if (now === this.drawn) return;
    this.drawn = now;
    fill(this.why, reasons.length ? [h("span", { class: "sr" }, "Reasons: "), reasons.map((reason) => h("span", { class: "reason" }, reason))] : h("span", { class: "muted" }, review ? "This call is reviewed." : loaded ? "This call is not in the queue." : "Loading…"));
    this.good.setAttribute("aria-pressed", String(review?.value === true));
    this.bad.setAttribute("aria-pressed", String(review?.value === false));
    const same = id === this.id;
    if (!same) this.change(id);
    if (!same || document.activeElement !== this.input) this.input.value = this.drafts.get(id).note ?? review?.comment ?? "";
  }

  change(id) {
    this.id = id;
    this.form.show(id, this.drafts.get(id).goal || "");
    this.toggleScenario(false);
  }

  // Say what happened to the last call. Screen readers also hear which call follows.
  tell({ last, following, over, undone }) {
    const text = undone ? `${undone.before ? "The earlier verdict is back" : "The verdict is removed"}: ${shortened(undone.name)}` : `${last.good ? "Good" : "Bad"}: ${shortened(last.name)}`;
    fill(this.done, h("span", {}, text), over ? h("span", {}, ". No more calls to review.") : null,
      following ? h("span", { class: "sr" }, `. Next: ${shortened(following.first_words || "only the greeting")}, ${following.reasons.join(", ")}`) : null);
  }

  focusNote() {
    this.input.focus();
  }

  toggleScenario(open = this.form.root.hidden) {
    this.make.setAttribute("aria-expanded", String(open));
    this.form.open(open, () => this.make.focus());
  }
}

function shortened(text) {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
