// The gallery: every message in every state, from sample data.

import { blocks } from "./blocks.js";
import { blockKitBuilder, el } from "./dom.js";
import { plain } from "./mrkdwn.js";

const root = document.getElementById("groups");
const contents = document.getElementById("contents");

const { now_ms: now, groups } = await (await fetch("/gallery/views")).json();

groups.forEach((group, number) => {
  const id = `group-${number}`;
  contents.append(el("li", {}, el("a", { href: `#${id}` }, group.title), ` ${group.views.length}`));
  root.append(el("section", { class: "group", "aria-labelledby": id }, el("h2", { id }, group.title), el("div", { class: "views" }, ...group.views.map(view))));
});
root.removeAttribute("aria-busy");

function view({ title, message, pictures }) {
  return el(
    "article",
    { class: "view" },
    el("h3", { class: "title" }, title),
    blocks(message, { now, pictures, press: () => {} }),
    el("p", { class: "spoken" }, el("b", {}, "Text for screen readers and notifications: "), plain(message.text, now)),
    el("details", {}, el("summary", {}, "JSON"), el("pre", { tabindex: "0" }, JSON.stringify(message, null, 2))),
    el("a", { class: "builder", href: blockKitBuilder(message), target: "_blank", rel: "noopener noreferrer" }, "Block Kit Builder ↗"),
  );
}
