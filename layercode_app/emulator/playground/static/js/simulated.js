// The card of a simulated caller in the transcript: who calls and, after the call, why it ended and what was checked.

import { h } from "./dom.js";

// `call` is a simulated call as the server describes it. `watched`: the page hears it.
export function simulatedCard(call, { watched, muted, onMute, onStop, onAgain }) {
  const phase = call.over ? "over" : call.running ? "running" : "ending";
  return h("section", { class: "simulated", id: "simulated", "data-state": phase, "data-turn": `simulated-${call.conversation_id}-${phase}-${watched}`, "aria-label": "Simulated caller" },
    h("div", { class: "simulated-head" }, h("h3", {}, "Simulated caller: ", h("span", { class: "name" }, call.name)), verdict(call)),
    h("p", { class: "muted small" }, origin(call)),
    call.ending ? h("p", { class: "ending", role: "status" }, call.ending.text) : null,
    phase === "ending" ? h("p", { class: "muted small" }, "Hanging up…") : null,
    call.checks ? checks(call) : notGraded(call),
    behaviours(call),
    h("div", { class: "actions" },
      watched && call.running ? h("button", { class: "small", id: "simulated-mute", type: "button", "aria-pressed": String(muted), onclick: onMute }, muted ? "Sound on" : "Mute") : null,
      call.running ? h("button", { class: "small danger", id: "simulated-stop", type: "button", onclick: onStop }, "Stop") : null,
      call.over ? h("button", { class: "small", id: "simulated-again", type: "button", onclick: onAgain }, "Call again") : null));
}

function origin({ asked, goal }) {
  const model = asked.model ? `, played by ${asked.model}` : "";
  return asked.file ? `${asked.file}, seed ${asked.seed}${model}` : `${goal ? `Goal: ${goal}` : ""}. Seed ${asked.seed}${model}`.replace("..", ".");
}

export function hasFailed(call) {
  return call.ending?.how === "failed" || Boolean(call.checks?.some((check) => check.failures.length));
}

function verdict(call) {
  if (!call.over) return h("span", { class: "badge live" }, call.running ? "running" : "ending");
  if (hasFailed(call)) return h("span", { class: "badge failed" }, "failed");
  return call.checks ? h("span", { class: "badge live" }, "passed") : h("span", { class: "badge" }, call.ending.how === "stopped" ? "stopped" : "ended");
}

function checks(call) {
  return [
    h("ul", { class: "checks" }, call.checks.map((check) => h("li", { "data-passed": String(!check.failures.length) },
      h("span", { class: "mark-of", "aria-label": check.failures.length ? "failed" : "passed" }, check.failures.length ? "✗" : "✓"),
      h("div", {}, h("span", { class: "check" }, check.expected ? `${check.name}: ${check.expected}` : check.name),
        check.failures.map((reason) => h("p", { class: "reason" }, reason)))))),
    call.judges.length ? h("p", { class: "muted small" }, "The scenario also has questions for a judge model. This page does not ask these questions. To ask them, run the scenario file with eval --judge.") : null,
  ];
}

function notGraded(call) {
  return call.over && call.ending.how !== "failed" ? h("p", { class: "muted small" }, "The result was not checked, because neither side ended the call.") : null;
}

// A list, by turn, of the caller's behaviour besides speaking, such as an interruption.
function behaviours(call) {
  if (!call.over || !call.behaviours.length) return null;
  return h("details", {}, h("summary", {}, "How the caller behaved"),
    h("ul", {}, call.behaviours.map((one) => h("li", {}, `Turn ${one.turn}: ${one.behaviours.join(", ")}`))));
}
