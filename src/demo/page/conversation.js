// Renders the conversation from the state that the demo sends.

import { blocks } from "./blocks.js";
import { el } from "./dom.js";
import { menu } from "./menu.js";
import { plain } from "./mrkdwn.js";

const NAME = "WhatsApp Sandbox";

/**
 * Renders the conversation in `list`. Calls `press(messageId, buttonRef, button)` on a press, `choose(messageId,
 * shortcut)` when a shortcut of a message is chosen, `reply(messageId)` to write in its thread, `announce(text)` with text
 * for screen readers, and `cue(isShown)` when a new message is below what is visible, or no longer is.
 */
export function conversation(list, { press, choose, reply, announce, cue }) {
  const shown = new Map();
  const scroller = list.closest(".scroller");
  let first = true;
  let atEnd = true;
  // A picture has its height only after it has loaded.
  list.addEventListener("load", () => atEnd && toEnd(scroller), true);
  scroller.addEventListener("scroll", () => isAtEnd(scroller) && cue(false));

  return (state) => {
    const day = new Date(state.now_ms).toDateString();
    const begins = state.conversation.length <= 1 && !state.conversation.some((line) => shown.has(line.id));
    let arrived = false;
    atEnd = keepAtEnd(scroller, () => (arrived = update(state, day)));
    if (begins) {
      // With the welcome. After a reload, a conversation goes on at its end.
      scroller.scrollTop = 0;
      atEnd = false;
      cue(false);
    } else if (arrived && !isAtEnd(scroller)) {
      cue(true);
    }
    first = false;
  };

  /** Returns whether a message was added. */
  function update(state, day) {
    const known = new Set();
    let added = false;
    for (const line of state.conversation) {
      known.add(line.id);
      const key = day + JSON.stringify(line);
      const before = shown.get(line.id);
      if (before?.key === key) continue;
      const node = line.failed ? failure(line, state.now_ms) : message(line, state, { press, choose, reply });
      // The replies stay, with what is focused among them.
      const thread = before?.thread ?? el("ol", { class: "thread", "aria-label": "Replies", hidden: true });
      const focused = thread.contains(document.activeElement) ? document.activeElement : null;
      if (before) replace(before.node, node);
      else place(line, node);
      node.querySelector(".content").append(thread);
      focused?.focus();
      added ||= !before;
      if (!first && before?.spoken !== spokenText(line, state.now_ms)) announce(spokenText(line, state.now_ms));
      shown.set(line.id, { key, node, thread, spoken: spokenText(line, state.now_ms) });
    }
    for (const [id, { node }] of shown) {
      if (known.has(id)) continue;
      node.remove();
      shown.delete(id);
      announce("A message was removed.");
    }
    return added;
  }

  /** Adds a new message to the conversation, or to its thread. */
  function place(line, node) {
    const thread = shown.get(line.thread)?.thread ?? list;
    thread.hidden = false;
    thread.append(node);
  }
}

/** Whether the end of the conversation, or nearly, can be seen; never while the channel is hidden. */
function isAtEnd(scroller) {
  return scroller.clientHeight > 0 && belowVisible(scroller) < 160;
}

/** Pixels of the conversation below what is visible. */
function belowVisible(scroller) {
  return scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
}

export function toEnd(scroller) {
  scroller.scrollTop = scroller.scrollHeight;
}

/** Runs `change`, and if it moved the end of the conversation out of sight, scrolls there. Returns whether it was in sight. */
export function keepAtEnd(scroller, change) {
  const atEnd = isAtEnd(scroller);
  const before = belowVisible(scroller);
  change();
  if (atEnd && belowVisible(scroller) !== before) toEnd(scroller);
  return atEnd;
}

/** Text for screen readers: the message's top-level text, as in Slack. */
function spokenText(line, now) {
  return line.failed ?? `${line.author ? "steve" : NAME}: ${plain(line.message.text, now)}`;
}

/** Replaces a message, and keeps the focus on the same button. */
function replace(before, after) {
  const focused = before.contains(document.activeElement) ? document.activeElement : null;
  before.replaceWith(after);
  if (!focused) return;
  const { block, action } = focused.dataset;
  const candidates = [...after.querySelectorAll("[data-action]")].filter((button) => button.dataset.action === action);
  (candidates.find((button) => button.dataset.block === block) ?? candidates[0] ?? after).focus();
}

function message(line, state, { press, choose, reply }) {
  const now = state.now_ms;
  const context = {
    now,
    warned: line.unacknowledged,
    pictures: line.pictures,
    press: (ref, button) => press(line.id, ref, button),
  };
  const items = state.shortcuts.map((shortcut) => [shortcut.name, () => choose(line.id, shortcut)]);
  if (!line.thread) items.push(["Reply in thread", () => reply(line.id)]);
  return el(
    "li",
    { class: "message", tabindex: "-1", "data-message": line.id },
    line.author
      ? el("span", { class: "avatar person", "aria-hidden": "true" }, "s")
      : el("img", { class: "avatar", src: "/page/icon.svg", alt: "" }),
    el(
      "div",
      { class: "content" },
      line.echo ? el("p", { class: "echo" }, el("b", {}, "steve"), " used ", el("code", {}, line.echo)) : null,
      line.in_channel || line.ts ? null : el("p", { class: "only-you" }, "👁 Only visible to you"),
      el(
        "p",
        { class: "byline" },
        ...(line.author ? [el("b", {}, "steve")] : [el("b", {}, NAME), " ", el("span", { class: "badge" }, "APP")]),
        " ",
        clock(line.at_ms, now),
      ),
      blocks(line.message, context),
      trace(line, state.shortcuts),
    ),
    // As in Slack: not on messages that only one person sees.
    line.in_channel ? menu(items) : null,
  );
}

function failure(line, now) {
  return el(
    "li",
    { class: "message failure", tabindex: "-1", "data-message": line.id },
    el("span", { class: "avatar slackbot", "aria-hidden": "true" }, "S"),
    el(
      "div",
      { class: "content" },
      el("p", { class: "only-you" }, "👁 Only visible to you"),
      el("p", { class: "byline" }, el("b", {}, "Slack"), " ", clock(line.at_ms, now)),
      el("p", { class: "section" }, line.failed),
    ),
  );
}

/** Not shown by Slack: what this message replies to, and how it arrived. */
function trace(line, shortcuts) {
  if (!line.act) return line.ts ? el("p", { class: "trace" }, "↳ sent by the app with ", el("code", {}, "chat.postMessage")) : null;
  const trigger = triggerOf(line.act, shortcuts);
  const way = line.by === "response" ? "in the response" : "to the response_url";
  const source = line.from_memory ? " · from memory: Kapso was not asked" : "";
  return el("p", { class: "trace" }, "↳ ", el("code", {}, trigger), ` · ${way} after ${span(line.after_ms)}${source}`);
}

/** What a person did: the command, the button or the shortcut. */
export function triggerOf(act, shortcuts) {
  if (act.typed) return act.typed;
  if (act.pressed) return `the button “${act.pressed}”`;
  if (act.submitted) return `the form “${act.submitted}”`;
  const chosen = shortcuts.find((shortcut) => shortcut.callback_id === act.chosen);
  return `the shortcut “${chosen?.name ?? act.chosen}”`;
}

/** The time of day, and the date if it is another day than `now`. */
function clock(at, now) {
  const isToday = new Date(at).toDateString() === new Date(now).toDateString();
  const date = isToday ? {} : { month: "short", day: "numeric" };
  const time = new Intl.DateTimeFormat(undefined, { ...date, hour: "numeric", minute: "2-digit" }).format(at);
  return el("time", { class: "time", datetime: new Date(at).toISOString() }, time);
}

/** Formats milliseconds: `12 ms`, `2.3 s`. */
export function span(ms) {
  return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`;
}
