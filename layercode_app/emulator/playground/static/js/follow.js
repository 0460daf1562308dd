// Keep the words being spoken in view, until the reader scrolls away.

const SCROLL_KEYS = new Set(["PageUp", "PageDown", "Home", "End", "ArrowUp", "ArrowDown", " "]);
const LINE = 40;

export class Follower {
  constructor(scroller, onChange) {
    this.scroller = scroller;
    this.onChange = onChange;
    this.on = true;
    for (const name of ["wheel", "touchmove"]) scroller.addEventListener(name, () => this.moved(), { passive: true });
    scroller.addEventListener("keydown", (event) => event.target === scroller && SCROLL_KEYS.has(event.key) && this.moved());
    // A press on the scroller itself is a press on its scroll bar.
    scroller.addEventListener("pointerdown", (event) => event.target === scroller && this.moved());
  }

  // The reader scrolled. Follow again if they stop at the words being spoken.
  moved() {
    this.set(false);
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.set(this.near), 250);
  }

  set(on) {
    if (this.on === on) return;
    this.on = on;
    this.onChange();
  }

  get near() {
    return Math.abs(this.target() - this.scroller.scrollTop) < LINE;
  }

  // The scroll position that puts the next word at three fifths of the height. If no word is left, the end of the page.
  target() {
    const { scroller } = this;
    const end = scroller.scrollHeight - scroller.clientHeight;
    const next = scroller.querySelector(".reply .waiting")?.getClientRects()[0];
    if (!next) return end;
    const place = next.top - scroller.getBoundingClientRect().top + scroller.scrollTop;
    return Math.max(Math.min(end, place - 0.6 * scroller.clientHeight), 0);
  }

  place() {
    if (this.on) this.scroller.scrollTop = this.target();
  }
}
