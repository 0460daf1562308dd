// A button that speaks a text with the emulator's voice or the browser's voice.

import { api } from "./api.js";
import { h } from "./dom.js";
import { listen } from "./player.js";
import { sayAloud, usesBrowserVoice } from "./voice.js";

export function listenButton(text) {
  if (!text) return null;
  const button = h("button", { class: "small listen", type: "button", "aria-pressed": "false" }, "Listen");
  const show = (on) => { button.textContent = on ? "Stop" : "Listen"; button.setAttribute("aria-pressed", String(on)); };
  button.addEventListener("click", () => usesBrowserVoice() ? sayAloud(text, show) : listen(() => api.speech(text), show).catch(() => show(false)));
  return button;
}
