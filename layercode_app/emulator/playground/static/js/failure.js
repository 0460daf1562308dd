// Show why a turn failed: the message, the developer's own line first, library frames folded, and the fix.

import { h } from "./dom.js";
import { plural } from "./format.js";

const GOT = {
  nothing: "The caller still heard the answer.", filler: "The caller heard the filler.",
  apology: "The caller heard the apology.", cut: "The provider cut the answer.", refusal: "The caller heard the refusal.",
};

export function failureBox(turn) {
  const failure = turn.failure;
  const got = GOT[turn.impact] || turn.impact;
  return h("section", { class: "failure", role: "alert" },
    h("div", { class: "failure-head" },
      h("span", { class: "badge failed" }, `${turn.error_category.replaceAll("_", " ")}${turn.error_detail ? `: ${turn.error_detail}` : ""}`),
      got ? h("span", { class: "small" }, got) : null),
    h("p", { class: "failure-message" }, failure?.message || turn.error || failure?.type || "failed"),
    failure?.fix ? h("p", { class: "failure-fix" }, h("strong", {}, "Fix "), failure.fix) : null,
    failure?.at ? ownLine(failure.at) : null,
    failure ? more(failure) : null);
}

// The innermost line of the developer's own code, with the lines around it.
function ownLine(at) {
  return h("figure", { class: "source" },
    h("figcaption", {}, h("span", { class: "where" }, `${at.file}:${at.line}`), h("span", { class: "muted" }, ` in ${at.function}`)),
    h("ol", { class: "source-lines" }, at.source.map(([number, text]) =>
      h("li", { class: number === at.line ? "here" : "", value: String(number) }, h("code", {}, text || " ")))));
}

function more(failure) {
  return h("div", { class: "failure-more" },
    h("span", { class: "failure-type" }, failure.type),
    failure.causes.map((cause) => h("p", { class: "small" }, "caused by ", h("span", { class: "num" }, cause.type), cause.message ? `: ${cause.message}` : "")),
    trace(failure.frames));
}

function trace(frames) {
  if (!frames.length) return null;
  return h("details", {}, h("summary", {}, `Traceback, ${plural(frames.length, "frame")}`), h("ol", { class: "trace" }, folded(frames)));
}

// Show the developer's own frames, and fold consecutive library frames into one line.
function folded(frames) {
  const runs = [];
  for (const frame of frames) {
    if (frame.own || !runs.length || runs.at(-1)[0].own) runs.push([frame]);
    else runs.at(-1).push(frame);
  }
  return runs.map((run) => (run[0].own ? traceLine(run[0])
    : h("li", {}, h("details", {}, h("summary", {}, plural(run.length, "library frame")), h("ol", { class: "trace" }, run.map(traceLine))))));
}

function traceLine(frame) {
  return h("li", { class: frame.own ? "own" : "" },
    h("span", { class: "where" }, `${frame.file}:${frame.line}`), h("span", { class: "muted" }, ` in ${frame.function}`),
    frame.code ? h("code", {}, frame.code) : null);
}
