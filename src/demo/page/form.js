// Forms: Slack's modal views with inputs.

import { el } from "./dom.js";

const REQUIRED = "Please complete this required field.";

/** Renders the fields of a view. `errors` are texts by the ids of the fields. Returns the node and what changes it. */
export function fields(view, errors = {}, { prefix = "", disabled = false } = {}) {
  const parts = view.blocks.filter((block) => block.type === "input").map((block) => field(block, prefix, disabled));
  const node = el("div", { class: "fields-of-form" }, ...parts.map((part) => part.node));
  const showErrors = (errors) => {
    parts.forEach((part) => part.showError(errors?.[part.id]));
    parts.find((part) => errors?.[part.id])?.input.focus();
  };
  parts.forEach((part) => part.showError(errors?.[part.id]));
  return {
    node,
    showErrors,
    values: () => Object.fromEntries(parts.map((part) => [part.id, part.input.value.trim()])),
    /** The errors that Slack shows before it sends the form. */
    missing: () => Object.fromEntries(parts.filter((part) => part.isMissing()).map((part) => [part.id, REQUIRED])),
  };
}

function field(block, prefix, disabled) {
  const id = `${prefix}${block.block_id}`;
  const { element } = block;
  const required = !block.optional;
  const attributes = { id, name: block.block_id, disabled, "aria-required": required ? "true" : null };
  const input =
    element.type === "static_select"
      ? el(
          "select",
          attributes,
          el("option", { value: "" }, "Select an option"),
          ...element.options.map((option) => el("option", { value: option.value }, option.text.text)),
        )
      : el("input", { ...attributes, type: "text", autocomplete: "off", placeholder: element.placeholder?.text });
  input.value = element.initial_value ?? element.initial_option?.value ?? "";
  const hint = block.hint ? el("p", { id: `${id}-hint`, class: "hint-of-field" }, block.hint.text) : null;
  const error = el("p", { id: `${id}-error`, class: "error-of-field", hidden: true });
  const label = el("label", { for: id }, block.label.text, required ? null : el("span", { class: "optional" }, " (optional)"));
  const describe = (hasError) => {
    const ids = [hasError ? error.id : null, hint?.id].filter(Boolean);
    if (ids.length) input.setAttribute("aria-describedby", ids.join(" "));
    else input.removeAttribute("aria-describedby");
  };
  describe(false);
  return {
    id: block.block_id,
    node: el("div", { class: "field-of-form" }, label, input, error, hint),
    input,
    isMissing: () => required && !input.value.trim(),
    showError: (text) => {
      error.textContent = text ?? "";
      error.hidden = !text;
      input.setAttribute("aria-invalid", String(Boolean(text)));
      describe(Boolean(text));
    },
  };
}

/** The dialog that shows the form of the state. Calls `submit(view, values)` and `close(view)`. */
export function formDialog(dialog, { submit, close }) {
  const [title, body, send] = ["#form-title", "#form-fields", "#form-submit"].map((id) => dialog.querySelector(id));
  const cancel = dialog.querySelector("#form-cancel");
  const problem = dialog.querySelector("#form-problem");
  // A state that was sent before the demo knew of it still has the form.
  const closed = new Set();
  let open = null;
  let shown = null;

  dialog.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    problem.textContent = "";
    const missing = shown.missing();
    shown.showErrors(missing);
    if (Object.keys(missing).length) return;
    send.setAttribute("aria-busy", "true");
    const fields = shown;
    const result = await submit(open.id, fields.values());
    send.removeAttribute("aria-busy");
    if (result?.errors) fields.showErrors(result.errors);
    else if (result && !result.acknowledged) problem.textContent = "The app did not respond. Try again.";
  });
  cancel.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    // Chromium takes no text in a field to which a dialog gives the focus back.
    const focused = document.activeElement;
    focused.blur();
    focused.focus();
    if (!open) return;
    const { id } = open;
    closed.add(id);
    open = null;
    close(id);
  });

  return (state) => {
    const form = closed.has(state.form?.id) ? null : state.form;
    if (form && form.id !== open?.id) {
      open = form;
      shown = fields(form.view, {}, { prefix: "form-" });
      problem.textContent = "";
      title.textContent = form.view.title.text;
      send.textContent = form.view.submit.text;
      cancel.textContent = form.view.close.text;
      body.replaceChildren(shown.node);
      if (!dialog.open) dialog.showModal();
      body.querySelector("input, select")?.focus();
    } else if (!form && open) {
      open = null;
      dialog.close();
    }
  };
}
