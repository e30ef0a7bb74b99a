// Renders the Block Kit blocks that this app sends. Any other block is named instead of rendered.

import { el, link } from "./dom.js";
import { mrkdwn } from "./mrkdwn.js";

/**
 * Renders a message's blocks. `context.now` is the time in milliseconds; `context.press(ref, button)` is called on a
 * press, where `ref` is `{block, action_id}`; without it, the buttons do nothing, and look like it; `context.warned` is the ref of the button whose press was not
 * acknowledged; `context.pictures` lists the addresses of the pictures that FakeSlack has fetched.
 */
export function blocks(message, context) {
  const rendered = (message.blocks ?? []).map((block, index) => {
    const render = BLOCKS[block.type] ?? unknown;
    return render(block, { ...context, index });
  });
  if (rendered.length === 0) rendered.push(el("p", { class: "section" }, mrkdwn(message.text ?? "", context.now)));
  return el("div", { class: "blocks" }, ...rendered);
}

const BLOCKS = {
  header: (block, context) => el("h3", { class: "header" }, text(block.text, context)),

  section: (block, context) =>
    el(
      "div",
      { class: "section" },
      el(
        "div",
        { class: "body" },
        block.text ? el("p", {}, text(block.text, context)) : null,
        block.fields
          ? el("div", { class: "fields" }, ...block.fields.map((field) => el("p", {}, text(field, context))))
          : null,
      ),
      block.accessory ? element(block.accessory, context) : null,
    ),

  rich_text: (block, context) => el("div", { class: "section" }, ...block.elements.map((part) => richText(part, context))),

  context: (block, context) => el("div", { class: "context" }, ...block.elements.map((part) => element(part, context))),

  actions: (block, context) => el("div", { class: "actions" }, ...block.elements.map((part) => element(part, context))),

  divider: () => el("hr"),

  image: (block, context) =>
    el("figure", {}, block.title ? el("figcaption", {}, block.title.text) : null, image(block, context)),
};

const ELEMENTS = {
  button,
  image,
  plain_text: (part, context) => el("span", {}, text(part, context)),
  mrkdwn: (part, context) => el("span", {}, text(part, context)),
};

function element(part, context) {
  return (ELEMENTS[part.type] ?? unknown)(part, context);
}

function text(part, context) {
  return part.type === "mrkdwn" ? mrkdwn(part.text, context.now) : part.text;
}

const RICH_STYLES = { bold: "strong", italic: "em", strike: "s", code: "code" };

function richText(part) {
  if (part.type !== "rich_text_section") return unknown(part);
  const runs = part.elements.map((run) => {
    if (run.type === "link") return link(run.url, {}, run.text ?? run.url);
    if (run.type !== "text") return unknown(run);
    const names = Object.entries(RICH_STYLES).filter(([style]) => run.style?.[style]);
    return names.reduce((inner, [, name]) => el(name, {}, inner), document.createTextNode(run.text));
  });
  return el("p", {}, ...runs);
}

/** Shows FakeSlack's copy, as Slack does; a picture that was not fetched is named instead. */
function image(part, context) {
  const address = part.image_url ?? "";
  if (context.pictures?.includes(address)) {
    return el("img", { src: `/picture?of=${encodeURIComponent(address)}`, alt: part.alt_text });
  }
  return link(address, { class: "image" }, `Picture: ${part.alt_text}`);
}

function button(part, context) {
  const ref = { block: context.index, action_id: part.action_id };
  const attributes = {
    class: `button ${part.style ?? ""}`,
    "data-block": ref.block,
    "data-action": ref.action_id,
    "aria-label": part.accessibility_label,
    click: () => context.press(ref, part),
  };
  if (!context.press) return el("button", { type: "button", ...attributes, disabled: true }, part.text.text);
  const node = part.url
    ? link(part.url, attributes, part.text.text, el("span", { class: "visually-hidden" }, " (opens in a new tab)"))
    : el("button", { type: "button", ...attributes }, part.text.text);
  if (context.warned?.block !== ref.block || context.warned?.action_id !== ref.action_id) return node;
  const warning = el("span", { class: "warning", role: "img", "aria-label": "The app did not respond to this press" }, "⚠");
  return el("span", { class: "warned" }, node, warning);
}

function unknown(part) {
  return el("p", { class: "unknown" }, `(${part.type ?? "unknown block"}: not supported by the playground)`);
}
