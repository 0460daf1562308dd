// The dialog that turns simulated faults on and off.

import { api } from "./api.js";
import { byId, fill, h } from "./dom.js";

const NONE = { authorize_status: null, duplicate: false, latency_ms: 0, drop_webhooks: false, interrupt_after_ms: null };

export function faultsControl(toast) {
  const dialog = byId("faults");
  const button = byId("faults-button");
  const mark = (faults) => {
    const on = active(faults);
    button.classList.toggle("on", on.length > 0);
    button.setAttribute("aria-label", on.length ? `Faults: ${on.join(", ")}` : "Faults");
    fill(button, "Faults", on.length ? [h("span", { class: "fault-list" }, `: ${on.join(", ")}`), h("span", { class: "fault-count" }, String(on.length))] : null);
  };
  const apply = async (faults) => {
    try {
      mark(await api.setFaults(faults));
      dialog.close();
    } catch (error) {
      toast(error.message);
    }
  };
  button.addEventListener("click", async () => {
    fill(dialog, form({ ...NONE, ...(await api.faults()) }, apply, () => dialog.close()));
    dialog.showModal();
  });
  const look = () => api.faults().then(mark).catch(() => {});
  addEventListener("focus", look);
  look();
}

// The faults that are on, in words.
function active(faults) {
  const { authorize_status: status, duplicate, latency_ms: latency, drop_webhooks: lost, interrupt_after_ms: cut } = { ...NONE, ...faults };
  return [
    duplicate && "every turn twice", lost && "webhooks dropped", latency > 0 && `${latency} ms slower`,
    cut !== null && `interrupted after ${cut} ms`, status !== null && `sessions refused with ${status}`,
  ].filter(Boolean);
}

function form(now, apply, cancel) {
  const check = (name) => h("input", { type: "checkbox", id: `fault-${name}`, checked: now[name] });
  const number = (name) => h("input", { type: "number", min: 0, step: 50, id: `fault-${name}`, value: now[name] ?? "", placeholder: "off" });
  const status = h("select", { id: "fault-status" }, [["", "allow"], ["402", "402, insufficient balance"], ["429", "429, too many requests"], ["500", "500"]]
    .map(([value, text]) => h("option", { value, selected: String(now.authorize_status ?? "") === value }, text)));
  const duplicate = check("duplicate"), drop = check("drop_webhooks"), latency = number("latency_ms"), cut = number("interrupt_after_ms");
  if (!now.latency_ms) latency.value = "";
  const submit = (event) => {
    event.preventDefault();
    apply({
      authorize_status: status.value ? Number(status.value) : null, duplicate: duplicate.checked, drop_webhooks: drop.checked,
      latency_ms: Number(latency.value) || 0, interrupt_after_ms: cut.value === "" ? null : Number(cut.value),
    });
  };
  return h("form", { class: "faults-form", onsubmit: submit },
    h("h2", { id: "faults-title" }, "Faults"),
    h("p", { class: "muted small" }, "Simulate faults of the platform, to hear what your callers would hear."),
    h("label", { class: "check" }, duplicate, h("span", {}, "Deliver every turn twice")),
    h("label", { class: "check" }, drop, h("span", {}, "Drop every webhook")),
    h("div", { class: "pair" }, h("label", { for: "fault-latency_ms" }, "Slow network ", h("span", { class: "hint" }, "ms")), latency),
    h("div", { class: "pair" }, h("label", { for: "fault-interrupt_after_ms" }, "Interrupt every turn after ", h("span", { class: "hint" }, "ms")), cut),
    h("p", { class: "muted small" }, "Agents that do not allow interruptions are not interrupted."),
    h("div", { class: "pair" }, h("label", { for: "fault-status" }, "Response to session requests"), status),
    h("div", { class: "actions" },
      h("button", { type: "button", class: "quiet", onclick: () => apply(NONE) }, "All off"),
      h("button", { type: "button", onclick: cancel }, "Cancel"),
      h("button", { class: "primary", type: "submit" }, "Apply")));
}
