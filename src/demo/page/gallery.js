// The gallery: every message in every state, from sample data.

import { blocks } from "./blocks.js";
import { blockKitBuilder, el } from "./dom.js";
import { fields } from "./form.js";
import { plain } from "./mrkdwn.js";

const root = document.getElementById("groups");
const contents = document.getElementById("contents");
let forms = 0;

const { now_ms: now, groups } = await (await fetch("/gallery/views")).json();

groups.forEach((group, number) => {
  const id = `group-${number}`;
  contents.append(el("li", {}, el("a", { href: `#${id}` }, group.title), ` ${group.views.length}`));
  root.append(el("section", { class: "group", "aria-labelledby": id }, el("h2", { id }, group.title), el("div", { class: "views" }, ...group.views.map(view))));
});
root.removeAttribute("aria-busy");

function view(shown) {
  return shown.message.type === "modal" ? form(shown) : message(shown);
}

function form({ title, message: { errors, ...view } }) {
  forms += 1;
  const { node } = fields(view, errors, { prefix: `form-${forms}-`, disabled: true });
  return el(
    "article",
    { class: "view" },
    el("h3", { class: "title" }, title),
    el("p", { class: "header" }, view.title.text),
    node,
    el(
      "p",
      { class: "choices" },
      el("button", { type: "button", class: "button", disabled: true }, view.close.text),
      el("button", { type: "button", class: "button primary", disabled: true }, view.submit.text),
    ),
    el("details", {}, el("summary", {}, "JSON"), el("pre", { tabindex: "0" }, JSON.stringify(view, null, 2))),
    builder(view),
  );
}

function message({ title, message, pictures }) {
  return el(
    "article",
    { class: "view" },
    el("h3", { class: "title" }, title),
    blocks(message, { now, pictures }),
    el("p", { class: "spoken" }, el("b", {}, "Text for screen readers and notifications: "), plain(message.text, now)),
    ...dialogs(message),
    el("details", {}, el("summary", {}, "JSON"), el("pre", { tabindex: "0" }, JSON.stringify(message, null, 2))),
    builder(message),
  );
}

function builder(message) {
  return el("a", { class: "builder", href: blockKitBuilder(message), target: "_blank", rel: "noopener noreferrer" }, "Block Kit Builder ↗");
}

/** The confirmation dialogs of a message's buttons, to be read without a press. */
function dialogs(message) {
  const buttons = (message.blocks ?? []).flatMap((block) => block.elements ?? []).filter((part) => part.confirm);
  return buttons.map(({ text, confirm: dialog }) =>
    el(
      "details",
      {},
      el("summary", {}, `Dialog of “${text.text}”`),
      el("p", {}, el("b", {}, dialog.title.text)),
      el("p", {}, dialog.text.text),
      el("p", {}, `${dialog.deny.text} / ${dialog.confirm.text}`),
    ),
  );
}
