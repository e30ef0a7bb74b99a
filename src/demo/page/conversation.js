// The channel: what Slack shows of the conversation, kept in step with the state that the demo sends.

import { blocks } from "./blocks.js";
import { el } from "./dom.js";
import { plain } from "./mrkdwn.js";

const NAME = "WhatsApp Sandbox";

/** Shows the conversation in `list`. `press` takes a message's id, a button's place and the button; `say` speaks. */
export function conversation(list, press, say) {
  const shown = new Map();
  const scroller = list.closest(".scroller");
  let first = true;
  let atEnd = true;
  // A picture takes its room only when it has come.
  list.addEventListener("load", () => keepingTheEnd(scroller, () => {}, atEnd), true);

  return (state) => {
    const day = new Date(state.now_ms).toDateString();
    atEnd = keepingTheEnd(scroller, () => update(state, day), first);
    first = false;
  };

  function update(state, day) {
    const known = new Set();
    for (const line of state.conversation) {
      known.add(line.id);
      const key = day + JSON.stringify(line);
      const before = shown.get(line.id);
      if (before?.key === key) continue;
      const node = line.failed ? failure(line) : message(line, state.now_ms, press);
      if (before) replace(before.node, node);
      else list.append(node);
      if (!first && before?.words !== words(line, state.now_ms)) say(words(line, state.now_ms));
      shown.set(line.id, { key, node, words: words(line, state.now_ms) });
    }
    for (const [id, { node }] of shown) {
      if (known.has(id)) continue;
      node.remove();
      shown.delete(id);
      say("A message was removed.");
    }
  }
}

/** Makes a change; whoever was at the end of `scroller` before, or is `taken` there, is at its end afterwards. */
export function keepingTheEnd(scroller, change, taken = false) {
  const atEnd = taken || scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 160;
  change();
  if (atEnd) scroller.scrollTop = scroller.scrollHeight;
  return atEnd;
}

/** What a screen reader gets: the message's own text for it, as in Slack. */
function words(line, now) {
  return line.failed ?? `${NAME}: ${plain(line.message.text, now)}`;
}

/** Puts a message in another's place, and leaves whoever is on one of its buttons there. */
function replace(before, after) {
  const focused = before.contains(document.activeElement) ? document.activeElement : null;
  before.replaceWith(after);
  if (!focused) return;
  const { block, action } = focused.dataset;
  const again = [...after.querySelectorAll("[data-action]")].filter((button) => button.dataset.action === action);
  (again.find((button) => button.dataset.block === block) ?? again[0] ?? after).focus();
}

function message(line, now, press) {
  const context = {
    now,
    warned: line.unacknowledged,
    pictures: line.pictures,
    press: (place, button) => press(line.id, place, button),
  };
  return el(
    "li",
    { class: "message", tabindex: "-1", "data-message": line.id },
    el("img", { class: "avatar", src: "/page/icon.svg", alt: "" }),
    el(
      "div",
      { class: "content" },
      line.echo ? el("p", { class: "echo" }, el("b", {}, "steve"), " used ", el("code", {}, line.echo)) : null,
      line.in_channel ? null : el("p", { class: "only-you" }, "👁 Only visible to you"),
      el("p", { class: "byline" }, el("b", {}, NAME), " ", el("span", { class: "badge" }, "APP"), " ", clock(line.at_ms)),
      blocks(line.message, context),
      trace(line),
    ),
  );
}

function failure(line) {
  return el(
    "li",
    { class: "message failure", tabindex: "-1", "data-message": line.id },
    el("span", { class: "avatar slackbot", "aria-hidden": "true" }, "S"),
    el(
      "div",
      { class: "content" },
      el("p", { class: "only-you" }, "👁 Only visible to you"),
      el("p", { class: "byline" }, el("b", {}, "Slack"), " ", clock(line.at_ms)),
      el("p", { class: "section" }, line.failed),
    ),
  );
}

/** What Slack would not show: what this answers, and how it came. */
function trace(line) {
  if (!line.act) return null;
  const asked = line.act.typed ?? `the button “${line.act.pressed}”`;
  const way = line.by === "response" ? "in the response" : "to the response_url";
  return el("p", { class: "trace" }, "↳ ", el("code", {}, asked), ` · ${way} after ${span(line.after_ms)}`);
}

function clock(at) {
  const time = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" }).format(at);
  return el("time", { class: "time", datetime: new Date(at).toISOString() }, time);
}

/** `12 ms`, `2.3 s`. */
export function span(ms) {
  return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`;
}
