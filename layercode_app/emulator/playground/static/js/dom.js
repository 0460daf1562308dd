// Create elements without a framework: h("button", {class: "primary", onclick}, "Send").

// Texts of callers, agents and tools are untrusted: control and direction characters are shown as symbols.
const HIDDEN = /[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\u{e0000}-\u{e007f}]/gu;

export function visible(text) {
  return text.replace(/\r\n/g, "\n").replace(HIDDEN, symbol);
}

function symbol(letter) {
  const code = letter.codePointAt(0);
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  return code === 0x7f ? "\u2421" : `<U+${code.toString(16).toUpperCase().padStart(4, "0")}>`;
}

const READ = new Set(["title", "aria-label", "placeholder"]);

function shown(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (typeof child === "string" ? visible(child) : child));
}

// The names of all event handlers in use, such as "onclick".
const handlers = new Set();

export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) { element[name] = value; handlers.add(name); }
    else if (name === "style") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
    else if (name === "value" || name === "checked") element[name] = value;
    else if (READ.has(name)) element.setAttribute(name, visible(String(value)));
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...shown(children));
  return element;
}

// Replace the children of an element. If a new element has the identity of the focused one, the new element gets the focus.
export function fill(element, ...children) {
  const focused = element.contains(document.activeElement) && element !== document.activeElement ? identity(document.activeElement) : null;
  element.replaceChildren(...shown(children));
  if (focused) Array.from(element.querySelectorAll("a, button, input, select, summary, textarea, [tabindex]")).find((one) => identity(one) === focused)?.focus({ preventScroll: true });
  return element;
}

function identity(element) {
  const named = [...["id", "name", "href", "aria-label"].map((name) => element.getAttribute(name)), ...Object.values(element.dataset)];
  return [element.tagName, ...named, named.some(Boolean) ? "" : element.textContent].join("\n");
}

// Make an element equal to another one in place, so that clicks, focus and selection survive. It also gets the other
// element's event handlers, because they may use newer data. Elements of another turn are replaced: the focus belongs to
// its turn.
export function patch(old, now) {
  if (old.nodeName !== now.nodeName || old.dataset?.turn !== now.dataset?.turn) return old.replaceWith(now);
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== now.data) old.data = now.data;
    return;
  }
  for (const { name } of Array.from(old.attributes)) if (!now.hasAttribute(name) && !isKept(old, name)) old.removeAttribute(name);
  for (const { name, value } of now.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const name of handlers) old[name] = now[name];
  const [before, after] = [Array.from(old.childNodes), Array.from(now.childNodes)];
  after.forEach((child, place) => (before[place] ? patch(before[place], child) : old.append(child)));
  before.slice(after.length).forEach((child) => child.remove());
}

// Whether to keep this attribute: a `details` element that is open stays open, because the user may have opened it.
function isKept(element, attribute) {
  return attribute === "open" && element.nodeName === "DETAILS";
}

// Return a name as nodes, so that the browser may break the line after each underscore and hyphen.
export function breakable(name) {
  return name.split(/(?<=[_-])/).flatMap((part, place) => (place ? [h("wbr"), part] : [part]));
}

export function byId(id) {
  return document.getElementById(id);
}
