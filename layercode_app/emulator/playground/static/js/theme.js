// Switch between light, dark and the system's theme.

import { byId, fill } from "./dom.js";

export function themeButton() {
  const button = byId("theme-button");
  const root = document.documentElement;
  const saved = localStorage.getItem("theme");
  if (saved) root.dataset.theme = saved;
  const isDark = () => getComputedStyle(root).colorScheme === "dark" || (!root.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  const draw = () => fill(button, isDark() ? "☀" : "☾");
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
    draw();
  });
  draw();
}
