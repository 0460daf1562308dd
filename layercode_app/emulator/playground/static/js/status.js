// The status line at the bottom: messages, problems, and the voice in use. It is always there, so that nothing moves.

import { fill, h } from "./dom.js";
import { plural } from "./format.js";
import { browserVoice, usesBrowserVoice } from "./voice.js";

const SHOWN_MS = 6000;

export class Status {
  constructor(root, dialog) {
    this.dialog = dialog;
    this.known = { failed: [], error: null, down: false };
    this.note = h("div", { class: "status-note" });
    this.messages = h("div", { class: "toasts", role: "status", "aria-live": "polite" });
    fill(root, this.note, this.messages);
    this.show();
  }

  // Show one message at a time.
  tell(text) {
    clearTimeout(this.timer);
    fill(this.messages, h("p", { class: "toast", title: "Click to close", onclick: () => fill(this.messages) }, text));
    this.timer = setTimeout(() => fill(this.messages), SHOWN_MS);
  }

  show(known = {}) {
    Object.assign(this.known, known);
    const { failed, error, down } = this.known;
    const wrong = down ? "The development server is down. Retrying\u2026" : failed.length ? `${plural(failed.length, "agent file")} failed to import.` : error ? "The agents were not reloaded." : null;
    const more = !down && wrong ? h("button", { class: "small", id: "problems-button", type: "button", "aria-haspopup": "dialog", onclick: () => this.dialog.showModal() }, "Show") : null;
    this.note.toggleAttribute("data-wrong", Boolean(wrong));
    fill(this.note, h("span", {}, wrong || voiceNote()), more);
    fill(this.dialog, h("h2", { id: "problems-title" }, "Problems"), error ? h("p", {}, error) : null, failed.map(problem),
      h("form", { method: "dialog", class: "actions" }, h("button", { class: "primary" }, "Close")));
    if (!wrong) this.dialog.close();
  }
}

function problem({ file, answers, traceback }) {
  return h("details", { open: true }, h("summary", {}, `${file} failed to import${answers ? ". Its last working version is used." : " and is not available."}`), h("pre", {}, traceback));
}

function voiceNote() {
  if (usesBrowserVoice()) return "Your browser's own voice speaks: espeak-ng is not installed.";
  if (browserVoice.wanted) return "No sound: install espeak-ng, or use a browser with a voice.";
  return "Everything runs on this machine.";
}
