// Draw where the time of a turn went. The server computes the rows; `sessions explain` and `eval` use the same ones.

import { fill, h } from "./dom.js";
import { money, ms, tokens } from "./format.js";

// `go(tab, key)` shows the message or the frame that a bar belongs to.
export function waterfall(turn, go) {
  const chart = turn.waterfall;
  if (!chart?.total_ms) return null;
  const scale = (at) => `${(100 * Math.min(at, chart.total_ms)) / chart.total_ms}%`;
  const several = new Set(chart.steps.filter((step) => step.model).map((step) => step.model)).size > 1;
  return h("div", { class: "waterfall", role: "group", "aria-label": "Where the time went" },
    marks(chart, scale),
    chart.steps.map((step, index) => stepRow(step, chart.rows[index], index, { scale, go, several })),
    h("div", { class: "wf-said" },
      chart.said.map((said, index) => saidRow(said, chart.rows[chart.steps.length + index], index, { scale, go }))),
    axis(chart.total_ms));
}

function stepRow(step, shape, index, { scale, go, several }) {
  const target = step.message === null ? null : () => go("messages", `message-${step.message}`);
  return row({ ...shape, key: `step-${index}`, detail: detail(step, several), target, what: "message", scale });
}

function detail(step, several) {
  if (step.kind !== "model" && step.kind !== "helper") return null;
  const swatch = (pale) => h("i", { class: `wf-swatch${pale ? " pale" : ""}`, "aria-hidden": "true" });
  return [
    several && step.kind === "model" ? h("span", {}, step.model) : null,
    step.first_ms === null ? step.status === "failed" ? h("span", {}, "failed before its first token") : null : [
      h("span", {}, swatch(true), `first token ${ms(step.first_ms - step.started_ms)}`),
      h("span", {}, swatch(false), `rest ${ms(step.ended_ms - step.first_ms)}`)],
    step.usage.requests ? [h("span", {}, `${tokens(step.usage)} tokens`), h("span", {}, cost(step))] : null,
  ];
}

function cost(step) {
  const known = money(step.cost, step.cost_is_partial);
  return known === "unknown" ? "cost unknown" : known;
}

function saidRow(said, shape, index, { scale, go }) {
  return row({ ...shape, key: `said-${index}`, target: () => go("frames", `frame-${said.frame}`), what: "first frame", scale });
}

function row({ name, key, label, color, bars, status, took_ms, at: isTime, detail: more = null, ticks, target, what, scale }) {
  const state = status === "running" ? " running" : status === "failed" ? " bad" : "";
  const title = `${label}, ${ms(bars[0].from_ms)} to ${ms(bars.at(-1).to_ms)}`;
  const drawn = bars.map((one) => h("span", {
    class: `wf-bar${state}${one.pale ? " pale" : ""}`,
    style: { left: `min(${scale(one.from_ms)}, calc(100% - 3px))`, width: scale(one.to_ms - one.from_ms) },
  }));
  return h(target ? "button" : "div", {
    type: target ? "button" : null, class: "wf-row", "data-span": name, "data-key": key, onclick: target,
    title: target ? `${title}. Show its ${what}` : title, style: { "--bar": `var(--c-${color})` },
  },
    h("span", { class: "name" }, name),
    h("span", { class: "wf-track" }, drawn, ticks.map((at) => h("i", { class: "wf-tick", style: { left: scale(at) } }))),
    h("span", { class: "took" }, isTime ? `at ${ms(took_ms)}` : ms(took_ms)),
    more ? h("span", { class: "wf-detail" }, more) : null);
}

// Draw a line through all rows at the first word. If a filler came first, draw another at the answer's first word.
function marks(chart, scale) {
  const found = chart.marks.map((mark) => [mark.name, mark.at_ms]);
  return [h("div", { class: "wf-labels" }, found.map(([name, at], index) =>
    h("span", { class: `wf-label${at > chart.total_ms * 0.55 ? " before" : ""}${index ? " answer" : ""}`, style: { left: scale(at) } }, `${name} ${ms(at)}`))),
  h("div", { class: "wf-over", "aria-hidden": "true" }, found.map(([, at], index) =>
    h("i", { class: `wf-line${index ? " answer" : ""}`, style: { left: scale(at) } })))];
}

function axis(end) {
  const ends = [0, 0.5, 1].map((share) => h("span", { style: { left: `${share * 100}%` } }, share ? ms(share * end) : "0"));
  return h("div", { class: "wf-axis" }, h("span"), h("div", { class: "scale", "aria-hidden": "true" }, ends),
    h("span", { class: "took sum", title: "The bars of the steps add up to the whole turn" }, ms(end)));
}

// Replay a turn as it was sent: a line moves over the waterfall, and the words appear at their times.
export function replay(turn, chart, words) {
  const end = turn.waterfall.total_ms;
  const track = chart.querySelector(".wf-track");
  if (!track) return () => {};
  const head = h("div", { class: "wf-head" });
  chart.append(head);
  const began = performance.now();
  let frame = 0;
  const stop = () => { cancelAnimationFrame(frame); head.remove(); };
  const tick = () => {
    const now = performance.now() - began;
    head.style.left = `${track.offsetLeft + (track.offsetWidth * Math.min(now, end)) / end}px`;
    fill(words, turn.frames.filter((f) => f.type === "response.tts" && f.at_ms <= now).map((f) => f.content).join(""));
    if (now < end) frame = requestAnimationFrame(tick);
    else setTimeout(stop, 600);
  };
  tick();
  return stop;
}
