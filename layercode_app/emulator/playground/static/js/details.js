// The parts of a turn, each as a panel: time, messages, frames, event, logs.

import { h } from "./dom.js";
import { failureBox } from "./failure.js";
import { clock, json, money, ms, tokens, UNKNOWN } from "./format.js";
import { replay, waterfall } from "./waterfall.js";

// `go(tab, key)` shows another part of the turn, for example the message that belongs to a bar.
export function timePanel(turn, go) {
  return [
    turn.error_category ? failureBox(turn) : null,
    figures(turn),
    timeSection(turn, go),
    turn.tools?.length ? h("section", {}, h("h3", {}, "Tools"), turn.tools.map(toolCall)) : null,
    turn.models?.length > 1 ? h("section", {}, h("h3", {}, "Models"), models(turn.models)) : null,
    turn.stages?.length ? h("section", {}, h("h3", {}, "Stages"), stages(turn.stages)) : null,
    turn.state ? h("section", {}, h("h3", {}, "State after this turn"), h("pre", { class: "json" }, json(turn.state))) : null,
    h("section", {}, h("h3", {}, "Ids"), ids(turn)),
  ];
}

function timeSection(turn, go) {
  const chart = waterfall(turn, go);
  if (!chart) return null;
  const words = h("p", { class: "replay-text muted" });
  let stop = null;
  const again = () => { stop?.(); stop = replay(turn, chart, words); };
  return h("section", {},
    h("div", { class: "section-head" }, h("h3", {}, "Where the time went"),
      turn.frames?.length ? h("button", { class: "small", type: "button", id: "replay", onclick: again }, "Replay") : null),
    verdict(turn), chart, words);
}

function verdict(turn) {
  const found = turn.waterfall.verdict;
  if (turn.status === "running") return null;
  return [h("p", { class: "verdict" }, found ? found.text : turn.account),
    found ? h("p", { class: "muted small verdict-more" }, `${found.window[0].toUpperCase()}${found.window.slice(1)}. ${turn.account}`) : null];
}

function figures(turn) {
  const t = turn.timings || {};
  const entry = (name, value, more = "") => h("div", { class: more }, h("dt", {}, name), h("dd", {}, value));
  return h("dl", { class: "figures" },
    entry("first speech", ms(t.ttfs), "lead"),
    entry("first token", ms(t.ttft)),
    entry("whole turn", ms(t.total)),
    entry("tokens", tokens(turn.usage)),
    entry("cost", turn.usage?.requests ? money(turn.cost, turn.cost_is_partial) : UNKNOWN));
}

// Tokens and cost of each model, if helpers or fallbacks used a different model.
function models(all) {
  const row = (model) => h("tr", {},
    h("td", { class: "kind" }, model.model),
    h("td", { class: "num" }, tokens(model.usage)),
    h("td", { class: "num" }, model.usage?.requests ? money(model.cost, model.cost_is_partial) : UNKNOWN));
  const heads = ["model", "tokens", "cost"].map((head) => h("th", {}, head));
  return h("table", { class: "models" }, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, all.map(row)));
}

function stages(all) {
  const row = (stage) => h("tr", {},
    h("td", { class: "kind" }, stage.name),
    h("td", { class: "num" }, stage.ended_ms === null ? stage.status : ms(stage.ended_ms - stage.started_ms)),
    h("td", { class: "num" }, tokens(stage.usage)),
    h("td", { class: "num" }, stage.usage?.requests ? money(stage.cost, stage.cost_is_partial) : UNKNOWN));
  const heads = ["stage", "took", "tokens", "cost"].map((head) => h("th", {}, head));
  return h("table", { class: "stages" }, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, all.map(row)));
}

function toolCall(tool) {
  const took = tool.ended_ms === null || tool.ended_ms === undefined ? tool.status : ms(tool.ended_ms - tool.started_ms);
  return h("div", { class: "tool-call" },
    h("div", { class: "head" }, h("span", { class: "name" }, tool.name),
      h("span", { class: "small muted num" }, tool.status === "done" ? took : `${tool.status}, ${took}`)),
    h("pre", {}, json(tool.args)),
    tool.result === null || tool.result === undefined ? null : h("pre", { class: "muted" }, typeof tool.result === "string" ? tool.result : json(tool.result)));
}

function ids(turn) {
  const known = {
    turn: turn.turn_id, conversation: turn.conversation_id, session: turn.session_id, trace: turn.trace_id, span: turn.span_id,
    model: turn.model, version: turn.fingerprint, began: turn.started_at ? clock(turn.started_at) : "",
  };
  const more = { retries: turn.retries, attempt: turn.attempt > 1 ? turn.attempt : 0 };
  return h("dl", { class: "kv" }, Object.entries({ ...known, ...more }).filter(([, value]) => value).map(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))]));
}

export function framesPanel(turn, go) {
  if (!turn.frames?.length) return nothing("No frames were sent.");
  const said = turn.waterfall?.said || [];
  const rows = turn.frames.map((frame, place) => h("tr", { "data-key": `frame-${place}` },
    h("td", { class: "at" }, ms(frame.at_ms)), h("td", { class: "kind" }, frame.type.replace("response.", "")),
    h("td", { class: "body" }, frame.content === null ? "" : typeof frame.content === "string" ? frame.content : JSON.stringify(frame.content),
      said.map((one, index) => (one.frame === place ? back(one.name, `said-${index}`, go) : null)))));
  return h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, "sent after"), h("th", {}, "frame"), h("th", {}, "content"))), h("tbody", {}, rows));
}

export function messagesPanel(turn, go) {
  if (!turn.messages?.length) return nothing("No model was called in this turn.");
  const steps = (turn.waterfall?.steps || []).map((step, index) => ({ ...step, key: `step-${index}` }));
  return h("div", {}, turn.messages.map((message, place) => {
    const own = steps.filter((step) => step.message === place);
    return h("div", { class: "message-group", "data-key": `message-${place}` },
      message.instructions ? instructions(message.instructions) : null,
      (message.parts || []).map((one, index) => messagePart(one, message.kind, backs(one, index, own, go))));
  }));
}

// Links from a message to the time chart: its first part links to the model request, and each tool call to its own bar.
function backs(one, index, steps, go) {
  return steps.filter((step) => (step.kind === "tool" ? one.part_kind === "tool-call" && step.call_id === one.tool_call_id : index === 0))
    .map((step) => back(`${step.name} ${ms(step.ended_ms - step.started_ms)}`, step.key, go));
}

function back(text, key, go) {
  return h("button", { class: "back", type: "button", title: "Show it in the time chart", onclick: () => go("time", key) }, text);
}

const ROLES = {
  "user-prompt": "caller", "system-prompt": "system", text: "model", thinking: "model, thinking",
  "tool-call": "model calls", "tool-return": "tool answers", "retry-prompt": "asked to try again",
};

function messagePart(one, kind, links) {
  const role = `${ROLES[one.part_kind] || one.part_kind}${one.tool_name ? ` ${one.tool_name}` : ""}`;
  const content = one.part_kind === "tool-call" ? one.args : one.content;
  return part(role, kind, content, links, typeof content !== "string" || one.part_kind === "tool-call");
}

function instructions(text) {
  return h("div", { class: "message request" },
    h("details", {}, h("summary", {}, "instructions ", h("span", {}, text.split("\n")[0].slice(0, 60))), h("pre", {}, text)));
}

function part(role, kind, content, links, code) {
  const text = typeof content === "string" ? content : json(content);
  return h("div", { class: `message ${kind}` },
    h("div", { class: "message-head" }, h("span", { class: "role" }, role), links), h("pre", { class: code ? "code" : "" }, text));
}

export function eventPanel(turn) {
  return h("pre", { class: "json" }, json(turn.event));
}

export function logsPanel(answer) {
  if (!answer.lines.length) return nothing(answer.written ? "No log line has this turn's id." : "No log files are written: LOG_DIR is empty.");
  const rows = answer.lines.map((line) => h("tr", {},
    h("td", { class: "at" }, String(line.time || "").slice(11, 23)), h("td", { class: `kind level-${line.level}` }, line.level),
    h("td", { class: "body" }, [line.message, line.exception ? `\n${line.exception.traceback || json(line.exception)}` : ""])));
  return h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, "time"), h("th", {}, "level"), h("th", {}, "message"))), h("tbody", {}, rows));
}

export function nothing(text) {
  return h("p", { class: "muted" }, text);
}
