// Delay redrawing while a button or a link is pressed: if it is moved or replaced, the click is lost.

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

// Return a promise that resolves when the press is over; undefined if nothing is pressed.
export function released() {
  return press?.promise;
}
