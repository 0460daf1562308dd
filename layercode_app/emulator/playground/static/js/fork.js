// Fork the selected turn with other words, prompt or model, and compare both answers.

import { api } from "./api.js";
import { comparison } from "./compare.js";
import { fill, h } from "./dom.js";

export function forkPanel(turn, agent, onDone) {
  const own = agent?.prompt || "";
  const say = h("textarea", { id: "fork-say", rows: 2, value: turn.user_text });
  const model = h("input", { type: "text", id: "fork-model", list: "fork-models", placeholder: turn.model || "the agent's own", autocomplete: "off", spellcheck: "false" });
  const prompt = h("textarea", { id: "fork-prompt", class: "prompt", rows: 8, value: own, placeholder: "Empty: the agent's own prompt answers", spellcheck: "false", "aria-describedby": "fork-prompt-note", oninput: () => note() });
  const kept = h("p", { class: "muted small", id: "fork-prompt-note" });
  const note = () => {
    kept.textContent = own && !prompt.value.trim()
      ? "The field is empty, so the agent's own prompt answers, unchanged."
      : "What the agent's instruction functions add is added here too.";
  };
  note();
  const rest = h("input", { type: "checkbox", id: "fork-rest" });
  const tools = h("input", { type: "checkbox", id: "fork-tools" });
  const result = h("div", { "aria-live": "polite" });
  const go = h("button", { class: "primary", type: "submit" }, "Fork from here");
  const submit = async (event) => {
    event.preventDefault();
    go.disabled = true;
    fill(result, h("p", { class: "muted thinking" }, "Running it"));
    const asked = { conversation_id: turn.conversation_id, turn_id: turn.turn_id, rest: rest.checked, run_tools: tools.checked };
    if (turn.kind === "message") asked.say = [say.value];
    if (model.value.trim()) asked.model = model.value.trim();
    if (prompt.value.trim() && prompt.value.trim() !== own.trim()) asked.prompt = prompt.value;
    try {
      fill(result, comparison(await api.fork(asked)));
    } catch (error) {
      fill(result, h("p", { class: "error-box", role: "alert" }, error.message));
    }
    go.disabled = false;
    onDone?.();
  };
  return h("form", { class: "fork-form", onsubmit: submit },
    h("p", { class: "muted small" }, "Run the call on from this turn, with the history as it was heard. The recording stays as it is."),
    turn.kind === "message" ? h("div", { class: "field" }, h("label", { for: "fork-say" }, "The caller says"), say) : null,
    agent?.has_model === false ? null : [
      h("div", { class: "field" }, h("label", { for: "fork-model" }, "Model"), model,
        h("datalist", { id: "fork-models" }, [...new Set([turn.model, "offline"].filter(Boolean))].map((name) => h("option", { value: name })))),
      h("div", { class: "field" }, h("label", { for: "fork-prompt" }, "Prompt"), prompt, kept)],
    h("div", { class: "checks" },
      h("label", {}, rest, h("span", {}, "Go on with what the caller said next")),
      h("label", {}, tools, h("span", {}, "Really run the tools ", h("span", { class: "hint" }, "otherwise they answer from their recordings")))),
    h("div", {}, go), result);
}
