// Presses on buttons and links. Redrawing waits while one is pressed: if it is moved or replaced, the click is lost.
// A second click of a double click, and a key that is held down, do nothing.

const PRESSED = "a, button, label, select, summary, [role=button]";
// If the pointer is down for longer than this, the page is redrawn anyway.
const LONGEST_MS = 5000;
let press = null;

function down(event) {
  up();
  if (!event.target.closest?.(PRESSED)) return;
  press = Promise.withResolvers();
  const timer = setTimeout(up, LONGEST_MS);
  press.promise.then(() => clearTimeout(timer));
}

// The browser sends the click after the pointer is up, in the same task.
function up() {
  const over = press;
  press = null;
  if (over) setTimeout(over.resolve);
}

addEventListener("pointerdown", down, true);
for (const name of ["pointerup", "pointercancel"]) addEventListener(name, up, true);

// A button with `data-once` starts, sends or saves something. The second click of a double click must not do it again.
addEventListener("click", (event) => {
  if (event.detail < 2 || !event.target.closest?.("[data-once]")) return;
  event.preventDefault();
  event.stopPropagation();
}, true);

// While Enter is held down, the browser clicks the focused button again and again.
addEventListener("keydown", (event) => {
  if (event.repeat && event.key === "Enter" && event.target.matches?.("button")) event.preventDefault();
}, true);

// Return a promise that resolves when the press is over; undefined if nothing is pressed.
export function released() {
  return press?.promise;
}
