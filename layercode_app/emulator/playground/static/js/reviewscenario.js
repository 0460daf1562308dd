// The form that writes a scenario from a reviewed call. The caller's goal is typed, or guessed by a model.

import { api } from "./api.js";
import { fill, h } from "./dom.js";

const MODEL = "review-model";

export class ScenarioForm {
  constructor({ onClose, onGoal, toast }) {
    this.toast = toast;
    this.goal = h("input", { type: "text", id: "review-goal", placeholder: "order two croissants", autocomplete: "off", maxlength: 2000, oninput: () => onGoal(this.goal.value) });
    this.onGoal = onGoal;
    this.models = h("datalist", { id: "review-models" });
    this.model = h("input", { type: "text", id: "review-model", list: "review-models", placeholder: "provider:model", "aria-label": "Model that guesses the goal", autocomplete: "off", spellcheck: "false", value: localStorage.getItem(MODEL) || "" });
    this.guess = h("button", { type: "button", id: "review-guess", onclick: () => (this.guessing ? this.guessing.abort() : this.ask()) }, "Guess the goal");
    this.write = h("button", { type: "submit", class: "primary", id: "review-write" }, "Write the scenario");
    this.result = h("div", { class: "review-result", role: "status" });
    this.root = h("form", { class: "review-scenario", id: "review-scenario", "aria-label": "Make it a scenario", hidden: true, onsubmit: (event) => this.submit(event), onkeydown: (event) => { if (event.key === "Escape") { event.stopPropagation(); onClose(); } } },
      h("div", { class: "field" }, h("label", { for: "review-goal" }, "What did the caller want?"), this.goal),
      h("div", { class: "line" }, this.model, this.models, this.guess),
      h("div", { class: "line" }, this.write, h("button", { type: "button", class: "quiet", onclick: onClose }, "Close")),
      this.result);
  }

  // Show the form of another call.
  show(id, goal) {
    this.guessing?.abort();
    this.id = id;
    this.goal.value = goal;
    fill(this.result);
  }

  open(open, onClosed) {
    const inside = this.root.contains(document.activeElement);
    this.root.hidden = !open;
    if (!open) this.guessing?.abort();
    if (!open && inside) onClosed();
    if (open) { this.goal.focus(); this.offer(); }
  }

  async offer() {
    const { configured, providers } = await api.models().catch(() => ({ configured: [], providers: [] }));
    const names = [...configured, ...providers.filter((one) => one.ready).flatMap((one) => one.models)];
    fill(this.models, names.map((value) => h("option", { value })));
    if (!this.model.value && configured.length) this.model.value = configured[0];
  }

  async ask() {
    const id = this.id;
    const model = this.model.value.trim();
    if (!model) { this.tell("Name a model that guesses the goal, such as openai:gpt-5-mini, or type the goal."); return this.model.focus(); }
    localStorage.setItem(MODEL, model);
    const mine = this.guessing = new AbortController();
    this.guess.textContent = "Stop guessing";
    fill(this.result, h("p", { class: "muted thinking" }, "The model reads the call"));
    try {
      const { goal } = await api.guessGoal({ conversation_id: id, model }, mine.signal);
      if (id === this.id) { this.goal.value = goal; this.onGoal(goal); fill(this.result, h("p", { class: "muted" }, "Check the goal before you write the scenario.")); this.goal.focus(); }
    } catch (error) {
      if (id === this.id) mine.signal.aborted ? fill(this.result) : this.tell(error.message);
    }
    if (this.guessing === mine) { this.guessing = null; this.guess.textContent = "Guess the goal"; }
  }

  async submit(event) {
    event.preventDefault();
    const id = this.id;
    if (this.write.disabled) return;
    if (!this.goal.value.trim()) { this.tell("Say what the caller wanted, such as: order two croissants."); return this.goal.focus(); }
    this.write.disabled = true;
    try {
      const written = await api.reviewScenario({ conversation_id: id, goal: this.goal.value });
      if (id === this.id) fill(this.result, wrote(written));
      else this.toast(`Wrote ${written.path}.`);
    } catch (error) {
      if (id === this.id) this.tell(error.message);
      else this.toast(error.message);
    }
    this.write.disabled = false;
  }

  tell(message) {
    fill(this.result, h("p", { class: "error-box", id: "review-wrong" }, message));
  }
}

function wrote({ path, replaced }) {
  return [h("p", {}, "Wrote ", h("code", { id: "review-path" }, path), ". Read it before you share it: some names may remain in what was said."),
    h("p", {}, "Run it with ", h("code", {}, `layercode-create-app eval ${path} --judge MODEL`)),
    replaced.length ? h("ul", { "aria-label": "Replaced personal details" }, replaced.map((one) => h("li", {}, `${one.kind}: ${one.original} became ${one.by || "(left out)"}, ${one.times === 1 ? "once" : `${one.times} times`}`))) : h("p", { class: "muted" }, "No personal details were found.")];
}
