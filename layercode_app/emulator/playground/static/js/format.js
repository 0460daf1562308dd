// Format figures for people. Unknown values are shown as unknown, never as zero.

export const UNKNOWN = "–";

export function ms(value) {
  if (value === undefined || value === null) return UNKNOWN;
  if (value < 10) return `${value.toFixed(1)} ms`;
  if (value < 1000) return `${Math.round(value)} ms`;
  return `${(value / 1000).toFixed(value < 10000 ? 2 : 1)} s`;
}

export function money(value, partial = false) {
  if (value === undefined || value === null) return "unknown";
  const amount = value === 0 ? "$0" : `$${value < 0.01 ? value.toPrecision(2) : value.toFixed(2)}`;
  return partial ? `${amount}+` : amount;
}

export function tokens(usage) {
  if (!usage || !usage.requests) return UNKNOWN;
  return `${count(usage.input_tokens || 0)} + ${count(usage.output_tokens || 0)}`;
}

export function count(value) {
  return value < 10000 ? String(value) : `${(value / 1000).toFixed(1)}k`;
}

export function plural(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

// Format durations in the same unit, so that they can be compared.
export function inOneUnit(values) {
  const inSeconds = Math.max(...values.filter((value) => value !== null && value !== undefined)) >= 1000;
  const text = (value) => (inSeconds ? (value / 1000).toFixed(2) : String(Math.round(value)));
  return { unit: inSeconds ? "seconds" : "ms", texts: values.map((value) => (value === null || value === undefined ? UNKNOWN : text(value))) };
}

// "today", "yesterday", or the date.
export function day(seconds) {
  const midnight = (time) => new Date(time).setHours(0, 0, 0, 0);
  const days = Math.round((midnight(Date.now()) - midnight(seconds * 1000)) / 86400000);
  if (days === 0) return "today";
  if (days === 1) return "yesterday";
  const year = new Date(seconds * 1000).getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return new Date(seconds * 1000).toLocaleDateString(undefined, { weekday: days < 7 ? "long" : undefined, day: "numeric", month: "short", year });
}

export function timeOfDay(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });
}

export function duration(seconds) {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString(undefined, { hour12: false });
}

// Return whole words up to a share of the text.
export function wordsUpTo(text, share) {
  if (share >= 1) return text;
  const end = text.indexOf(" ", Math.floor(text.length * share));
  return share <= 0 ? "" : end < 0 ? text : text.slice(0, end);
}

export function json(value) {
  return JSON.stringify(value, null, 2);
}

const STATUS = {
  running: "running", unfinished: "not finished", complete: "complete", interrupted: "interrupted", superseded: "interrupted", failed: "failed",
};

export function statusName(status) {
  return STATUS[status] || status;
}

export function statusBadge(status) {
  return { interrupted: "cut", superseded: "cut", failed: "failed", running: "live", unfinished: "unfinished" }[status] || "";
}
