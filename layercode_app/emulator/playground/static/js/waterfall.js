// Where the time of a turn went, from the request to the end of the stream.

import { fill, h } from "./dom.js";
import { ms } from "./format.js";

export function spans(turn) {
  const t = turn.timings || {};
  const end = t.total ?? Math.max(0, ...(turn.frames || []).map((frame) => frame.at_ms), ...(turn.tools || []).map((tool) => tool.ended_ms ?? tool.started_ms));
  const found = [];
  const add = (name, from, to, color, more = {}) => {
    if (from !== undefined && to !== undefined) found.push({ name, from, to: Math.max(to, from), color, ...more });
  };
  add("verify", 0, t.verified, "verify");
  add("history", t.verified ?? 0, t.history, "history");
  add("model", t.history ?? t.verified ?? 0, t.ttft, "model", { title: "until the model's first token" });
  for (const tool of turn.tools || []) {
    add(tool.name, tool.started_ms, tool.ended_ms ?? end, "tool", { running: tool.status === "running", bad: tool.status === "failed" });
  }
  for (const stage of turn.stages || []) {
    add(stage.name, stage.started_ms, stage.ended_ms ?? end, "tool", { running: stage.status === "running", bad: stage.status === "failed" });
  }
  const spoken = (turn.frames || []).filter((frame) => frame.type === "response.tts");
  if (spoken.length) {
    const ticks = spoken.map((frame) => frame.at_ms);
    add("speech", ticks[0], ticks[ticks.length - 1], "speech", { ticks, running: turn.status === "running" });
  }
  if (t.total !== undefined) add("end", t.total, t.total, "verify", { mark: true });
  return { spans: found, end: Math.max(end, 1) };
}

export function waterfall(turn) {
  const { spans: found, end } = spans(turn);
  const place = (value) => `${(100 * value) / end}%`;
  const row = (span) => h("div", { class: "wf-row", "data-span": span.name },
    h("span", { class: "name", title: span.title || span.name }, span.name),
    h("div", { class: "wf-track", style: { "--bar": `var(--c-${span.color})` }, title: `${span.name}: ${ms(span.from)} to ${ms(span.to)}` },
      span.mark
        ? h("div", { class: "wf-mark", style: { right: "0" } })
        : h("div", {
          class: `wf-bar${span.running ? " running" : ""}${span.bad ? " bad" : ""}`,
          style: { left: `min(${place(span.from)}, calc(100% - 3px))`, width: place(span.to - span.from) },
        }),
      span.ticks ? thin(span.ticks).map((at) => h("i", { class: "wf-tick", style: { left: place(at) } })) : null),
    h("span", { class: "took" }, span.mark ? `at ${ms(span.from)}` : ms(span.to - span.from)));
  return h("div", { class: "waterfall", role: "img", "aria-label": found.map((s) => `${s.name} ${ms(s.from)} to ${ms(s.to)}`).join(", ") },
    found.map(row), axis(end));
}

function thin(ticks) {
  const every = Math.ceil(ticks.length / 60);
  return ticks.slice(1, -1).filter((_, index) => index % every === 0);
}

function axis(end) {
  const marks = [0, 0.5, 1].map((share) => h("span", { style: { left: `${share * 100}%` } }, share ? ms(share * end) : "0"));
  return h("div", { class: "wf-axis", "aria-hidden": "true" }, h("span"), h("div", { class: "scale" }, marks), h("span"));
}

// Plays a turn again as it was sent: a line runs over the waterfall, and the words come as they came.
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
