// While a button or a link is pressed nothing is redrawn: a press on what has moved or was replaced would be lost.

const PRESSED = "a, button, label, select, summary, [role=button]";
// Whoever keeps the pointer down for longer sees the page change again.
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

// A promise that is fulfilled when nothing is pressed: at once, as a rule.
export function released() {
  return press?.promise;
}
