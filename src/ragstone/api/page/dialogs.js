// Dialogs that ask before something is made or deleted, and show what came of it.

import { byId, errorNotice, fill, make } from "./dom.js";

/**
 * Ask, and do it where the answer is yes. `action` gets the form's values and returns what is shown for a receipt, or
 * null to close. Failures are shown, and asking goes on. `typed` is what must be typed before anything is done.
 */
export function ask({ title, text, fields = [], label, isDanger = false, typed = null, action }) {
  const dialog = byId("asking");
  const outcome = make("div", { "aria-live": "polite" });
  const confirm = make("button", { type: "submit", class: isDanger ? "danger" : "primary", disabled: typed !== null }, label);
  const cancel = make("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Cancel");
  const asked = make("div", {}, typed === null ? fields : [...fields, typedField(typed, confirm)]);
  const form = make(
    "form",
    { onsubmit: (event) => perform(event) },
    make("h2", { id: "asking-title" }, title),
    text && make("p", {}, text),
    asked,
    outcome,
    make("div", { class: "dialog-foot" }, cancel, confirm),
  );

  async function perform(event) {
    event.preventDefault();
    confirm.disabled = true;
    try {
      const receipt = await action(Object.fromEntries(new FormData(form)));
      if (receipt === null) return dialog.close();
      confirm.hidden = true;
      asked.hidden = true;
      cancel.textContent = "Close";
      fill(outcome, receipt);
      cancel.focus();
    } catch (error) {
      confirm.disabled = false;
      fill(outcome, errorNotice(error));
    }
    return undefined;
  }

  fill(dialog, form);
  dialog.showModal();
}

/** A labelled field of a dialog's form. */
export function field(name, label, attributes = {}) {
  const id = `field-${name}`;
  return make("div", { class: "field" }, make("label", { for: id }, label), make("input", { id, name, ...attributes }));
}

function typedField(typed, confirm) {
  return field("typed", `Type ${typed} to confirm`, {
    autocomplete: "off",
    oninput: (event) => { confirm.disabled = event.target.value !== typed; },
  });
}
