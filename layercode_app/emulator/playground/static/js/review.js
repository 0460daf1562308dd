// The review queue. It shows the calls worth a look instead of all calls. One key gives a verdict on a call, as in
// `sessions review`.

import { api } from "./api.js";
import { released } from "./press.js";
import { ReviewBar } from "./reviewbar.js";
import { ReviewList } from "./reviewlist.js";

const TYPING = 'textarea, select, input:not([type="checkbox"])';

// These survive a reload of the tab: the view, its period, and the notes and goals that were typed.
const kept = {
  get: (name, other) => JSON.parse(sessionStorage.getItem(`review-${name}`) ?? JSON.stringify(other)),
  set: (name, value) => sessionStorage.setItem(`review-${name}`, JSON.stringify(value)),
};

export class Review {
  // `onSelect(id)` shows a call. `toast(text)` shows a message in the status line.
  constructor(pane, talk, { onSelect, toast }) {
    Object.assign(this, { onSelect, toast });
    this.on = kept.get("on", false);
    this.asked = { since: kept.get("since", "7d"), reviewed: kept.get("reviewed", false) };
    this.queue = null;
    this.shown = { id: null, conversation: null, busy: true };
    this.undoable = [];
    this.list = new ReviewList(pane, {
      onSwitch: (on) => this.turn(on),
      onAsk: (asked) => { Object.assign(this.asked, asked); Object.entries(asked).forEach(([name, value]) => kept.set(name, value)); this.load(); },
      onSelect, onRetry: () => this.load(),
    });
    this.bar = new ReviewBar(talk, {
      onVerdict: (good) => this.judge(good), onNext: () => this.next(), onUndo: () => this.undo(),
      onNote: () => this.keepNote(), toast, drafts: { get: (id) => kept.get("drafts", {})[id] || {}, set: (id, draft) => this.keepDraft(id, draft) },
    });
    document.addEventListener("keydown", (event) => this.press(event));
    this.draw();
    if (this.on) this.load();
  }

  keepDraft(id, draft) {
    const drafts = { ...kept.get("drafts", {}), [id]: draft };
    if (!draft) delete drafts[id];
    kept.set("drafts", drafts);
  }

  turn(on) {
    this.on = on;
    kept.set("on", on);
    this.draw();
    if (on) this.load();
  }

  // The page shows this call. `busy` is true while it cannot be reviewed, such as during the call.
  show(shown) {
    this.shown = shown;
    this.drawBar();
  }

  // Load the queue again, if it is on screen. A late answer to an earlier request is ignored.
  async load() {
    if (!this.on) return;
    const mine = this.loading = Symbol("load");
    const queue = await api.reviews(this.asked).catch((error) => ({ calls: [], error: error.message }));
    await released();
    if (mine !== this.loading) return;
    this.queue = queue;
    this.draw();
  }

  draw() {
    this.list.show({ on: this.on, queue: this.queue, asked: this.asked, selected: this.shown.id });
    this.drawBar();
  }

  drawBar() {
    const { id, conversation, busy } = this.shown;
    this.list.select(id);
    const call = this.calls.find((one) => one.conversation_id === id);
    this.bar.show({ on: this.on && Boolean(id) && !busy, id, loaded: Boolean(conversation), reasons: call?.reasons || [], review: this.review(), last: this.undoable.at(-1) });
  }

  get calls() {
    return this.queue?.calls || [];
  }

  // The verdict on the call on screen, as the journal has it.
  review() {
    return this.shown.conversation?.turns.findLast((turn) => turn.scores?.review)?.scores.review || null;
  }

  // The ids of the other calls of the queue, beginning with the one after the call on screen.
  order() {
    const place = this.calls.findIndex((call) => call.conversation_id === this.shown.id);
    return [...this.calls.slice(place + 1), ...this.calls.slice(0, Math.max(place, 0))].map((call) => call.conversation_id);
  }

  // The first of these calls that still has no verdict.
  waiting(order) {
    const calls = new Map(this.calls.map((call) => [call.conversation_id, call]));
    return order.map((id) => calls.get(id)).find((call) => call && !call.review) || null;
  }

  go(id) {
    // Keys do nothing until the next call is on screen.
    this.show({ ...this.shown, id, conversation: null });
    this.onSelect(id);
  }

  next() {
    const order = this.order();
    const id = this.waiting(order)?.conversation_id || order[0];
    if (id) this.go(id);
    else this.toast("There is no other call to review.");
  }

  judge(good) {
    const { id, conversation } = this.shown;
    if (!this.bar.ready) return;
    const last = { id, good, before: this.review(), name: conversation.title || "Only the greeting" };
    const order = this.order();
    this.alone(async () => {
      await api.review({ conversation_id: id, good, note: this.bar.note });
      this.keepDraft(id, null);
      this.undoable.push(last);
      await this.load();
      const following = this.waiting(order);
      if (following) this.go(following.conversation_id);
      this.bar.tell({ last, following, over: !following && !this.queue.error });
    });
  }

  undo() {
    const last = this.undoable.at(-1);
    if (!last) return this.toast("There is no verdict to undo.");
    this.alone(async () => {
      await api.review({ conversation_id: last.id, good: last.before?.value ?? null, note: last.before?.comment || "" });
      this.undoable.pop();
      await this.load();
      if (last.id !== this.shown.id) this.go(last.id);
      this.bar.tell({ undone: last });
    });
  }

  // A note on a call that has a verdict is saved at once. Any other note is saved with the verdict.
  keepNote() {
    const review = this.review();
    if (!this.bar.ready || !review) return;
    const id = this.shown.id;
    this.alone(async () => {
      await api.review({ conversation_id: id, good: review.value, note: this.bar.note });
      this.keepDraft(id, null);
      this.toast("The note is saved.");
    });
  }

  // Run `work`. Until it is done, further calls do nothing, so keys that would start other work are ignored.
  async alone(work) {
    if (this.working) return;
    this.working = true;
    try {
      await work();
    } catch (error) {
      this.toast(`Not saved: ${error.message}`);
    } finally {
      this.working = false;
    }
  }

  // Keys work while no field has the focus. A key that is held down counts once.
  press(event) {
    const away = !this.on || event.repeat || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]");
    if (away || document.activeElement?.matches(TYPING)) return;
    const bar = { g: () => this.judge(true), b: () => this.judge(false), n: () => this.bar.focusNote(), s: () => this.bar.toggleScenario() };
    const deed = { k: () => this.next(), u: () => this.undo(), ...(this.bar.ready ? bar : {}) }[event.key.toLowerCase()];
    if (!deed) return;
    event.preventDefault();
    deed();
  }
}
