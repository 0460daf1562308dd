// Fork the selected turn with other words, prompt or models, and show the compared answers above the form.

import { api } from "./api.js";
import { comparison } from "./compare.js";
import { fill, h } from "./dom.js";

const OTHER = "another";

// Keep the latest forms and their results while the user looks at other tabs and turns.
const kept = new Map();
const MOST_KEPT = 10;

export function forkPanel(turn, agent, onDone) {
  const key = `${turn.conversation_id} ${turn.turn_id} ${agent?.version}`;
  const known = kept.get(key);
  // While a turn runs, its details are not complete. So a new form is made when the turn has ended, unless the user has
  // already used the old form.
  const form = known && ("used" in known.dataset || known.dataset.status === turn.status) ? known : forkForm(turn, agent, onDone);
  kept.delete(key);
  kept.set(key, form);
  if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value);
  return form;
}

function forkForm(turn, agent, onDone) {
  const own = agent?.prompt || "";
  const hasModel = agent?.has_model !== false;
  const say = h("textarea", { id: "fork-say", rows: 2, value: turn.user_text });
  const first = modelField("fork-model", "The agent's own", turn);
  const second = modelField("fork-model-2", "None", turn);
  if (hasModel) api.models().then((models) => [first, second].forEach((field) => field.offer(models, agent)), () => {});
  const prompt = h("textarea", { id: "fork-prompt", class: "prompt", rows: 8, value: own, placeholder: "Empty: the agent's own prompt is used", spellcheck: "false", "aria-describedby": "fork-prompt-note", oninput: () => note() });
  const hint = h("p", { class: "muted small", id: "fork-prompt-note" });
  const note = () => {
    hint.textContent = own && !prompt.value.trim()
      ? "The field is empty, so the agent's own prompt is used."
      : "The agent's instruction functions also apply to this prompt.";
  };
  note();
  const rest = h("input", { type: "checkbox", id: "fork-rest" });
  const tools = h("input", { type: "checkbox", id: "fork-tools" });
  const result = h("div", { class: "fork-place", "aria-live": "polite", tabindex: "-1" });
  const go = h("button", { class: "primary", "data-once": true, type: "submit" }, "Fork from here");
  const show = (...parts) => {
    fill(result, ...parts);
    result.scrollIntoView({ block: "start" });
    result.focus({ preventScroll: true });
  };
  const asked = () => {
    const common = { conversation_id: turn.conversation_id, turn_id: turn.turn_id, rest: rest.checked, run_tools: tools.checked };
    if (turn.kind === "message") common.say = [say.value];
    if (prompt.value.trim() && prompt.value.trim() !== own.trim()) common.prompt = prompt.value;
    const models = hasModel && second.value() ? [first.value(), second.value()] : [hasModel ? first.value() : ""];
    return models.map((model) => (model ? { ...common, model } : common));
  };
  const submit = async (event) => {
    event.preventDefault();
    used(event);
    const forks = asked();
    go.disabled = true;
    show(h("p", { class: "muted thinking fork-running" }, forks.length > 1 ? "Running both forks" : "Running the fork"));
    const done = await Promise.allSettled(forks.map((one) => api.fork(one)));
    go.disabled = false;
    const names = forks.map((one) => one.model || (forks.length > 1 ? agent?.model || "The agent's own model" : "Forked"));
    if (done.every((one) => one.status === "rejected")) show([...new Set(done.map((one) => one.reason.message))].map(failed));
    else show(comparison(done.map((one, index) => ({ name: names[index], fork: one.value || null, error: one.reason?.message }))));
    onDone?.();
  };
  return h("form", { class: "fork-form", "data-status": turn.status, oninput: used, onsubmit: submit }, result,
    h("p", { class: "muted small" }, "Run the call again from this turn, with the history as the caller heard it. The recording does not change."),
    turn.kind === "message" ? h("div", { class: "field" }, h("label", { for: "fork-say" }, "The caller says"), say) : null,
    hasModel ? [
      h("div", { class: "fork-models" }, first.element("Model"), second.element("Side by side with")),
      h("div", { class: "field" }, h("label", { for: "fork-prompt" }, "Prompt"), prompt, hint)] : null,
    h("div", { class: "checks" },
      h("label", {}, rest, h("span", {}, "Continue with what the caller said next")),
      h("label", {}, tools, h("span", {}, "Really run the tools ", h("span", { class: "hint" }, "otherwise they answer from their recordings")))),
    h("div", {}, go));
}

function used(event) {
  event.currentTarget.dataset.used = "";
}

function failed(message) {
  return h("p", { class: "error-box", role: "alert", id: "fork-error" }, message);
}

// A list of models, and a text field for the name of another model.
function modelField(id, none, turn) {
  const select = h("select", { id, onchange: () => { other.hidden = select.value !== OTHER; if (!other.hidden) other.focus(); } });
  const other = h("input", { type: "text", id: `${id}-other`, placeholder: "provider:model", "aria-label": "Name of the model", autocomplete: "off", spellcheck: "false", hidden: true });
  const option = (value, text = value) => h("option", { value }, text);
  const last = () => option(OTHER, "Another…");
  fill(select, option("", none), option("offline", "offline: the agent's script"), last());
  const offer = ({ configured, providers }, agent) => {
    const chosen = select.value;
    const ready = providers.filter((one) => one.ready && one.models.length);
    const missing = providers.filter((one) => !one.ready && one.models.length);
    fill(select, option("", id === "fork-model" && (agent?.model || turn.model) ? `${none}: ${agent?.model || turn.model}` : none),
      agent?.has_script === false ? null : option("offline", "offline: the agent's script"),
      configured.length ? h("optgroup", { label: "In your settings" }, configured.map((name) => option(name))) : null,
      ready.map((one) => h("optgroup", { label: one.name }, one.models.map((name) => option(name)))),
      missing.length ? h("optgroup", { label: "Needs a key in .env" }, missing.map((one) => h("option", { disabled: true }, `${one.name}: ${one.variable}`))) : null,
      last());
    select.value = chosen;
  };
  return {
    offer,
    value: () => (select.value === OTHER ? other.value.trim() : select.value),
    element: (label) => h("div", { class: "field" }, h("label", { for: id }, label), select, other),
  };
}
