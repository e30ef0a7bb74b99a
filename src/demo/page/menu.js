// A button that opens a menu: https://www.w3.org/WAI/ARIA/apg/patterns/menu-button/.

import { el } from "./dom.js";

/** Creates the button with its menu. `items` are pairs of a label and what happens when the item is chosen. */
export function menu(items) {
  const buttons = items.map(([label, choose]) =>
    el(
      "button",
      {
        type: "button",
        role: "menuitem",
        tabindex: "-1",
        click: () => {
          close();
          toggle.focus();
          choose();
        },
      },
      label,
    ),
  );
  const list = el("div", { role: "menu", "aria-label": "More actions", hidden: true }, ...buttons);
  const toggle = el(
    "button",
    { type: "button", class: "more", "aria-label": "More actions", "aria-haspopup": "menu", "aria-expanded": "false" },
    el("span", { "aria-hidden": "true" }, "⋮"),
  );
  const node = el("div", { class: "menu" }, toggle, list);

  function open(index) {
    list.hidden = false;
    toggle.setAttribute("aria-expanded", "true");
    buttons.at(index).focus();
    list.scrollIntoView({ block: "nearest" });
  }

  function close() {
    list.hidden = true;
    toggle.setAttribute("aria-expanded", "false");
  }

  toggle.addEventListener("click", () => (list.hidden ? open(0) : close()));
  node.addEventListener("keydown", (event) => {
    const at = buttons.indexOf(document.activeElement);
    const moves = {
      ArrowDown: () => open(list.hidden ? 0 : (at + 1) % buttons.length),
      ArrowUp: () => open(list.hidden || at < 0 ? -1 : at - 1),
      Home: () => open(0),
      End: () => open(-1),
      Escape: () => {
        close();
        toggle.focus();
      },
    };
    const move = moves[event.key];
    if (!move || (list.hidden && !event.key.startsWith("Arrow"))) return;
    event.preventDefault();
    move();
  });
  node.addEventListener("focusout", (event) => node.contains(event.relatedTarget) || close());
  return node;
}
