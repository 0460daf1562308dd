// Show where the time of a turn went, from the request to the end of the stream.

import { fill, h } from "./dom.js";
import { ms } from "./format.js";

const GAP_MS = 500; // A longer pause between two pieces is drawn as a gap in the speech.

export function spans(turn) {
  const t = turn.timings || {};
  const end = t.total ?? Math.max(0, ...(turn.frames || []).map((frame) => frame.at_ms), ...steps(turn, 0).map((step) => step.to));
  const found = [bar("verify", 0, t.verified, "verify"), bar("history", t.verified ?? 0, t.history, "history"), ...steps(turn, end)];
  const pieces = piecesOf(turn);
  const covered = filler(pieces, end);
  if (covered) found.push(bar("filler", covered.from, covered.to, "speech", { wait: true, title: "a filler covered this time" }));
  const spoken = pieces.filter((piece) => piece.source !== "filler");
  if (spoken.length) found.push(speech(spoken, turn.status === "running"));
  if (t.total !== undefined) found.push(bar("end", t.total, t.total, "verify", { mark: true }));
  return { spans: found.filter(Boolean), end: Math.max(end, 1) };
}

function bar(name, from, to, color, more = {}) {
  return from === undefined || to === undefined ? null : { name, from, to: Math.max(to, from), color, ...more };
}

// Model requests, tools and stages, in the order they began.
function steps(turn, end) {
  const parts = [
    ...requests(turn, end),
    ...(turn.tools || []).map((tool) => stepBar(tool.name, tool, end)),
    ...(turn.stages || []).map((stage) => stepBar(stage.name, stage, end)),
  ].filter(Boolean);
  return parts.sort((a, b) => a.from - b.from);
}

function stepBar(name, step, end, more = {}) {
  const state = { running: step.status === "running", bad: step.status === "failed" };
  return bar(name, step.started_ms, step.ended_ms ?? end, "tool", { ...state, ...more });
}

// One bar for each request to a model: the wait for its first token, and the rest of its answer.
function requests(turn, end) {
  const t = turn.timings || {};
  if (!turn.requests?.length) {
    return [bar("model", t.history ?? t.verified ?? 0, t.ttft, "model", { title: "until the model's first token" })];
  }
  let own = 0;
  return turn.requests.map((call) => {
    const name = call.stage ? `${call.stage}: ${call.model}` : `model${++own > 1 ? ` ${own}` : ""}`;
    const title = `${call.model}: first token ${call.first_ms === null ? "never came" : `after ${ms(call.first_ms - call.started_ms)}`}`;
    return stepBar(name, call, end, { color: "model", first: call.first_ms ?? undefined, title });
  });
}

// Every piece of speech with its source: the runs of `speech` are the same text as the frames.
function piecesOf(turn) {
  const runs = (turn.speech || []).map((run) => ({ source: run.source, left: run.text.length }));
  return (turn.frames || []).filter((frame) => frame.type === "response.tts").map((frame) => {
    while (runs.length > 1 && runs[0].left <= 0) runs.shift();
    if (runs.length) runs[0].left -= String(frame.content).length;
    return { at: frame.at_ms, source: runs[0]?.source ?? "model" };
  });
}

// The time that a filler covered: from it to the first word of the answer.
function filler(pieces, end) {
  const said = pieces.find((piece) => piece.source === "filler");
  return said && { from: said.at, to: pieces.find((piece) => piece.source !== "filler" && piece.at >= said.at)?.at ?? end };
}

function speech(pieces, running) {
  const ticks = pieces.map((piece) => piece.at);
  const runs = [{ from: ticks[0], to: ticks[0] }];
  for (const at of ticks.slice(1)) {
    if (at - runs.at(-1).to > GAP_MS) runs.push({ from: at, to: at });
    runs.at(-1).to = at;
  }
  return bar("speech", ticks[0], ticks.at(-1), "speech", { ticks, runs, running });
}

export function waterfall(turn) {
  const { spans: found, end } = spans(turn);
  const place = (value) => `${(100 * value) / end}%`;
  const row = (span) => h("div", { class: "wf-row", "data-span": span.name },
    h("span", { class: "name", title: span.title || span.name }, span.name),
    h("div", { class: "wf-track", style: { "--bar": `var(--c-${span.color})` }, title: `${span.title || span.name}: ${ms(span.from)} to ${ms(span.to)}` },
      span.mark
        ? h("div", { class: "wf-mark", style: { right: "0" } })
        : bars(span).map((one) => h("div", {
          class: `wf-bar${span.running ? " running" : ""}${span.bad ? " bad" : ""}${one.wait ? " wait" : ""}`,
          style: { left: `min(${place(one.from)}, calc(100% - 3px))`, width: place(one.to - one.from) },
        })),
      span.ticks ? thin(span.ticks).map((at) => h("i", { class: "wf-tick", style: { left: place(at) } })) : null),
    h("span", { class: "took" }, span.mark ? `at ${ms(span.from)}` : ms(span.to - span.from)));
  return h("div", { class: "waterfall", role: "img", "aria-label": found.map((s) => `${s.name} ${ms(s.from)} to ${ms(s.to)}`).join(", ") },
    found.map(row), axis(end));
}

// The bars of a span: its runs, or its wait and the rest.
function bars(span) {
  if (span.runs) return span.runs;
  if (span.first === undefined) return [{ from: span.from, to: span.to, wait: span.wait }];
  return [{ from: span.from, to: span.first, wait: true }, { from: span.first, to: span.to }];
}

function thin(ticks) {
  const every = Math.ceil(ticks.length / 60);
  return ticks.slice(1, -1).filter((_, index) => index % every === 0);
}

function axis(end) {
  const marks = [0, 0.5, 1].map((share) => h("span", { style: { left: `${share * 100}%` } }, share ? ms(share * end) : "0"));
  return h("div", { class: "wf-axis", "aria-hidden": "true" }, h("span"), h("div", { class: "scale" }, marks), h("span"));
}

// Replay a turn as it was sent: a line moves over the waterfall, and the words appear at their times.
export function replay(turn, chart, words) {
  const { end } = spans(turn);
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
