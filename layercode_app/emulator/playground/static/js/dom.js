// Elements without a framework: h("button", {class: "primary", onclick}, "Send").

export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
    else if (name === "value" || name === "checked") element[name] = value;
    else element.setAttribute(name === "class" ? "class" : name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// Makes one element look as another, in place: what is pressed, focused or selected in it stays so. What is of another
// turn is replaced, because its listeners are.
export function patch(old, now) {
  if (old.nodeName !== now.nodeName || old.dataset?.turn !== now.dataset?.turn) return old.replaceWith(now);
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== now.data) old.data = now.data;
    return;
  }
  for (const { name } of Array.from(old.attributes)) if (!now.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of now.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const [before, after] = [Array.from(old.childNodes), Array.from(now.childNodes)];
  after.forEach((child, place) => (before[place] ? patch(before[place], child) : old.append(child)));
  before.slice(after.length).forEach((child) => child.remove());
}

export function byId(id) {
  return document.getElementById(id);
}
