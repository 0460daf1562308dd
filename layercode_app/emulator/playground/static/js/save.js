// Buttons that save a turn in the project, as a scenario or as a test.

import { api } from "./api.js";
import { h } from "./dom.js";

export function saveButtons(turn, toast) {
  const save = (form) => async (event) => {
    const button = event.currentTarget;
    button.disabled = true;
    try {
      const { path } = await api.saveTurn(turn, form);
      toast(`Saved as ${path}. Run it with ${form === "test" ? "pytest" : "layercode-create-app eval"}.`);
    } catch (error) {
      toast(error.message);
    }
    button.disabled = false;
  };
  const button = (form) => h("button", { class: "small", "data-once": true, id: `save-${form}`, type: "button", title: `Save the call up to this turn as a ${form} in the project`, onclick: save(form) }, `Save as ${form}`);
  return [button("scenario"), button("test")];
}
