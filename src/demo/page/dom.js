// Makes elements. Words become text nodes only: nothing that anybody wrote is read as HTML.

/** An element with attributes, listeners (functions) and children (nodes or words; null for none). */
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

/** A link that opens in a tab of its own, or plain words if the address is none that a click may open. */
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

/** The address that opens these blocks in Slack's own editor. */
export function blockKitBuilder(message) {
  const blocks = message.blocks ?? [];
  return "https://app.slack.com/block-kit-builder/#" + encodeURIComponent(JSON.stringify({ blocks }));
}
