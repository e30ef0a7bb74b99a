// Creates DOM elements. Strings become text nodes, never HTML.

/** Creates an element with attributes, event listeners (functions) and children (nodes or strings; null is skipped). */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child != null));
  return element;
}

/** A link that opens in a new tab; plain text if the address's scheme is not safe. */
export function link(address, attributes, ...children) {
  if (!isSafe(address)) return el("span", attributes, ...children);
  return el("a", { ...attributes, href: address, target: "_blank", rel: "noopener noreferrer" }, ...children);
}

function isSafe(address) {
  try {
    return ["https:", "http:", "mailto:"].includes(new URL(address).protocol);
  } catch {
    return false;
  }
}

/** URL that opens a message's blocks, or a form, in Slack's Block Kit Builder. */
export function blockKitBuilder(message) {
  const opened = message.type === "modal" ? message : { blocks: message.blocks ?? [] };
  return "https://app.slack.com/block-kit-builder/#" + encodeURIComponent(JSON.stringify(opened));
}
