// The caller's input: text, the browser's speech recognition, data, and the interrupt button.

import { fill, h } from "./dom.js";
import { canListen, Listener } from "./speech.js";

const ICONS = {
  mic: "M12 3a3 3 0 0 0-3 3v6a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3ZM5 11a7 7 0 0 0 14 0M12 18v3",
  braces: "M8 4c-2 0-3 1-3 3v2c0 2-1 3-2 3 1 0 2 1 2 3v2c0 2 1 3 3 3M16 4c2 0 3 1 3 3v2c0 2 1 3 2 3-1 0-2 1-2 3v2c0 2-1 3-3 3",
  sound: "M4 10v4h3l5 4V6l-5 4H4ZM16 9a4 4 0 0 1 0 6M18.5 6.5a8 8 0 0 1 0 11",
  hangup: "M3.5 15.5c-1.2-3 3.3-6.5 8.5-6.5s9.700 3.500 8.500 6.500l-.4.9c-.2.500-.7.700-1.200.600l-3-.800c-.5-.1-.8-.5-.8-1v-1.900a10 10 0 0 0-6.200 0v1.900c0 .5-.3.900-.8 1l-3 .800c-.5.1-1-.1-1.200-.600l-.4-.9Z",
  mute: "M4 10v4h3l5 4V6l-5 4H4ZM16 9.5l5 5M21 9.5l-5 5",
};

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", "stroke-width": "1.8", "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true" })) svg.setAttribute(key, value);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

export class Composer {
  constructor(form, { onSay, onInterrupt, onData, onSpeechStart, onMute, toast }) {
    this.form = form;
    this.input = h("input", { type: "text", id: "say", "aria-label": "Say something", placeholder: "Say something", autocomplete: "off", enterkeyhint: "send" });
    this.cut = h("button", { type: "button", class: "interrupt", id: "interrupt", hidden: true, onclick: onInterrupt }, "Interrupt", h("kbd", {}, "esc"));
    this.data = h("input", { type: "text", id: "data", "aria-label": "JSON to send to the agent", placeholder: '{"page": "checkout"}', spellcheck: "false", autocomplete: "off" });
    this.dataLine = h("div", { class: "line", hidden: true }, this.data, h("button", { type: "button", "data-once": true, onclick: () => this.sendData(onData, toast) }, "Send data"));
    this.data.addEventListener("keydown", (event) => {
      if (event.key === "Enter") { event.preventDefault(); if (!event.repeat) this.sendData(onData, toast); }
    });
    this.mic = canListen ? h("button", { type: "button", class: "icon quiet", "aria-label": "Speak", title: "Speak", "aria-pressed": "false", onclick: () => this.listener.toggle() }, icon("mic")) : null;
    this.sound = h("button", { type: "button", class: "icon quiet", "aria-label": "Mute the agent", title: "Mute the agent", "aria-pressed": "false", onclick: onMute }, icon("sound"));
    const braces = h("button", { type: "button", class: "icon quiet", id: "data-button", "aria-label": "Send data", title: "Send data", onclick: () => this.toggleData() }, icon("braces"));
    if (canListen) this.listener = this.makeListener(onSay, onSpeechStart, toast);
    const send = h("button", { class: "primary", type: "submit" }, "Send");
    fill(form, this.dataLine, h("div", { class: "box" }, this.input,
      h("div", { class: "tools" }, this.mic, braces, this.sound, h("div", { class: "deeds" }, this.cut, send))));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.input.value.trim();
      if (!text) return;
      this.input.value = "";
      onSay(text);
    });
  }

  makeListener(onSay, onSpeechStart, toast) {
    return new Listener({
      onStart: onSpeechStart,
      onInterim: (text) => this.hear(text),
      onFinal: (text) => text && onSay(text),
      onState: (on) => { this.mic.setAttribute("aria-pressed", String(on)); this.hear(""); },
      onError: toast,
    });
  }

  // Show the words understood so far in the empty text field, so that nothing on the page moves.
  hear(text) {
    this.input.placeholder = text || "Say something";
  }

  sendData(onData, toast) {
    try {
      onData(JSON.parse(this.data.value || "{}"));
      this.data.value = "";
    } catch {
      toast("The data is not JSON.");
    }
  }

  toggleData() {
    this.dataLine.hidden = !this.dataLine.hidden;
    (this.dataLine.hidden ? this.input : this.data).focus();
  }

  // `call` is the live call on screen, or null. Without a live call, the microphone is turned off.
  show(call, muted) {
    this.showMuted(muted);
    this.form.hidden = !call;
    this.cut.hidden = !call?.busy;
    if (!call && this.listener?.active) this.listener.stop();
  }

  showMuted(muted) {
    if (this.sound.getAttribute("aria-pressed") === String(muted)) return;
    this.sound.setAttribute("aria-pressed", String(muted));
    fill(this.sound, icon(muted ? "mute" : "sound"));
  }
}
