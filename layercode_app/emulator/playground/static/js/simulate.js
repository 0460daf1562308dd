// The dialog that starts a simulated caller: one of a scenario file, or a persona that a model plays.

import { api } from "./api.js";
import { byId, fill, h } from "./dom.js";
import { callerMetadata } from "./start.js";

const KEY = "simulated-caller";
const OWN = "own";
const EXAMPLES = { persona: "in a hurry, speaks in fragments, changes their mind once", goal: "order two croissants, then make it three" };

// `onStarted` is called with the started call. `again` is the request of an earlier call, which fills in the form.
export async function simulateDialog(agent, { onStarted, again = null }) {
  const dialog = byId("simulate");
  const [found, models] = await Promise.all([api.callers(), api.models()]);
  const callers = found.callers.filter((one) => one.agent === agent);
  const kept = again || saved(agent);
  fill(dialog, form({ agent, callers, broken: found.broken, models, kept, cancel: () => dialog.close(), start: async (asked) => {
    localStorage.setItem(KEY, JSON.stringify({ ...asked, metadata: null }));
    const call = await api.simulate({ ...asked, metadata: callerMetadata() });
    dialog.close();
    onStarted(call);
  } }));
  dialog.showModal();
}

// Return the fields of the last form. If it was a form for another agent, leave out the scenario.
function saved(agent) {
  let last = null;
  try { last = JSON.parse(localStorage.getItem(KEY)); } catch { /* Another version wrote it. */ }
  return last && (last.agent === agent ? last : { ...last, file: null, scenario: "" });
}

function form({ agent, callers, broken, models, kept, start, cancel }) {
  const place = callers.findIndex((one) => one.file === kept?.file && one.scenario === kept?.scenario);
  const chosen = place >= 0 ? String(place) : kept?.file === "" || !callers.length ? OWN : "0";
  const who = h("select", { id: "simulate-caller" },
    byFile(callers).map(([file, all]) => h("optgroup", { label: file }, all.map((one) => h("option", { value: String(callers.indexOf(one)) }, one.scenario)))),
    h("option", { value: OWN }, "A persona of your own"));
  who.value = chosen;
  const persona = h("textarea", { id: "simulate-persona", rows: 2, placeholder: EXAMPLES.persona, value: kept?.persona || "" });
  const goal = h("textarea", { id: "simulate-goal", rows: 2, placeholder: EXAMPLES.goal, value: kept?.goal || "" });
  const own = h("div", { class: "fields" }, field("Persona", persona, "who calls"), field("Goal", goal, "what the caller wants"));
  const model = h("input", { type: "text", id: "simulate-model", list: "simulate-models", spellcheck: "false", autocomplete: "off", placeholder: "openai:gpt-5-mini", value: kept?.model || models.configured[0] || "" });
  const modelField = h("div", { class: "field" }, h("label", { for: "simulate-model" }, "Model ", h("span", { class: "hint" }, "plays the caller")), model,
    h("datalist", { id: "simulate-models" }, suggested(models).map((value) => h("option", { value }))), keyNote(models));
  const seed = h("input", { type: "number", id: "simulate-seed", step: 1, value: String(kept?.seed ?? 0) });
  const about = h("div", { class: "about" });
  const error = h("p", { class: "error-box", role: "alert", hidden: true });
  const call = h("button", { class: "primary", type: "submit", id: "simulate-start" }, "Call");
  const show = () => {
    const one = callers[who.value];
    own.hidden = Boolean(one);
    goal.required = !one;
    modelField.hidden = Boolean(one) && !one.needs_model;
    about.hidden = !one;
    fill(about, one ? aboutCaller(one) : null);
    error.hidden = true;
  };
  who.addEventListener("change", show);
  show();
  const submit = async (event) => {
    event.preventDefault();
    const one = callers[who.value];
    const typed = { persona: persona.value, goal: goal.value, model: modelField.hidden ? "" : model.value.trim() };
    call.disabled = true;
    error.hidden = true;
    try {
      await start({ agent, file: one?.file || "", scenario: one?.scenario || "", seed: Math.round(Number(seed.value)) || 0, ...typed });
    } catch (failed) {
      error.hidden = false;
      fill(error, failed.message);
      error.scrollIntoView({ block: "nearest" });
    }
    call.disabled = false;
  };
  return h("form", { class: "simulate-form", onsubmit: submit },
    h("h2", { id: "simulate-title" }, `Simulated caller for ${agent}`),
    h("p", { class: "muted small" }, "A script or a model plays the caller. You watch and hear the call live."),
    field("Caller", who), about, own, modelField,
    field("Seed", seed, "decides how the caller behaves"),
    brokenFiles(broken),
    h("div", { class: "bottom" }, error, h("div", { class: "actions" }, h("button", { type: "button", onclick: cancel }, "Cancel"), call)));
}

function field(name, control, hint) {
  return h("div", { class: "field" }, h("label", { for: control.id }, name, hint ? h("span", { class: "hint" }, ` ${hint}`) : null), control);
}

function byFile(callers) {
  const files = new Map();
  for (const one of callers) files.set(one.file, [...(files.get(one.file) || []), one]);
  return Array.from(files);
}

function aboutCaller(one) {
  return [
    h("p", { class: "file" }, one.file),
    one.persona ? h("p", {}, h("strong", {}, "Persona: "), one.persona) : null,
    one.goal ? h("p", {}, h("strong", {}, "Goal: "), one.goal) : null,
    one.behaviour.length ? h("p", {}, h("strong", {}, "Behaviour: "), one.behaviour.join(", ")) : null,
    h("p", {}, one.mocked.length ? `Tools really run, except for mocked ones: ${one.mocked.join(", ")}.` : "Tools really run."),
  ];
}

function brokenFiles(broken) {
  if (!broken.length) return null;
  const title = broken.length === 1 ? "A scenario file cannot be read" : `${broken.length} scenario files cannot be read`;
  return h("details", { class: "broken-files", open: broken.length === 1 }, h("summary", {}, title), broken.map(({ error }) => h("p", {}, error)));
}

// Models of the settings, then a few of each provider whose key is set.
function suggested({ configured, providers }) {
  return [...new Set([...configured, ...providers.filter((one) => one.ready).flatMap((one) => one.models)])];
}

function keyNote({ configured, providers }) {
  if (configured.length || providers.some((one) => one.ready)) return null;
  return h("p", { class: "muted small" }, "No key of a model provider is set. Put one into .env, such as OPENAI_API_KEY; the file is read as soon as it is saved.");
}
