// The start page: the agents, with a button to call each.

import { breakable, h } from "./dom.js";

// Remove the agent's name from its title: "Echo: repeats" under the heading "echo" becomes "Repeats".
function withoutName({ name, title }) {
  const [first, ...rest] = title.split(": ");
  const same = rest.length && first.toLowerCase() === name.toLowerCase().replace(/[_-]/g, " ");
  const text = same ? rest.join(": ") : title;
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function agentList(agents, onCall, onSimulate) {
  return h("div", { class: "agent-list" }, agents.map((agent) => h("article", { class: "agent-card" },
    h("h3", {}, breakable(agent.name)),
    h("p", {}, withoutName(agent)),
    agent.say?.length ? h("p", { class: "say" }, "Try saying ", agent.say.map((text, place) => [place ? ", " : "", h("q", {}, text)])) : null,
    h("p", { class: "model" }, agent.offline ? "offline script, no model key needed" : agent.model || "no model needed"),
    h("div", { class: "deeds" },
      h("button", { class: "primary", "data-once": true, "data-agent": agent.name, "aria-label": `Call ${agent.name}`, onclick: () => onCall(agent.name) }, "Call"),
      h("button", { class: "small", type: "button", "data-simulate": agent.name, "aria-haspopup": "dialog", "aria-label": `Call ${agent.name} with a simulated caller`, title: "Let a simulated caller talk to this agent", onclick: () => onSimulate(agent.name) }, "Simulate")))));
}

export function startView(agents, onCall, onSimulate) {
  const own = agents.filter((agent) => !agent.example);
  const examples = agents.filter((agent) => agent.example);
  return h("div", { class: "start" },
    h("h1", {}, "Talk to your agent"),
    h("p", {}, "Everything runs on this machine. Say something, interrupt, and look inside each turn."),
    whoCalls(),
    own.length ? agentList(own, onCall, onSimulate) : null,
    examples.length ? h("section", { class: "examples" }, h("h2", {}, "Examples"), agentList(examples, onCall, onSimulate)) : null);
}

const KEY = "metadata";

// The metadata that a backend's /api/authorize would set; agents get it as turn.metadata.
function whoCalls() {
  const saved = localStorage.getItem(KEY) || "";
  const text = h("textarea", {
    id: "metadata", rows: 2, spellcheck: "false", placeholder: '{"user": "ada"}', "aria-label": "Metadata of the caller, as JSON", value: saved,
    oninput: (event) => localStorage.setItem(KEY, event.target.value),
  });
  return h("details", { class: "who-calls", open: Boolean(saved) },
    h("summary", {}, "Who is calling? ", h("span", { class: "hint" }, "metadata for the agent, as JSON")), text);
}

// Return the caller's metadata; throw if it is not a JSON object.
export function callerMetadata() {
  const text = (localStorage.getItem(KEY) || "").trim();
  if (!text) return null;
  let value = null;
  try { value = JSON.parse(text); } catch { /* reported below */ }
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw new Error("The caller's metadata must be a JSON object.");
  return value;
}

// The view for an address without a call.
export function missingView(why, { onCalls, onStart }) {
  return h("div", { class: "start missing", role: "alert" },
    h("h1", {}, "No such call"),
    h("p", {}, why),
    h("div", { class: "choices" },
      h("button", { class: "to-calls", onclick: onCalls }, "Show all calls"),
      h("button", { class: "primary", onclick: onStart }, "Start a new call")));
}
