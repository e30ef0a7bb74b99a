// The playground: composer, conversation and control panel, all rendered from the state that the demo sends.

import { conversation, keepAtEnd, span, toEnd } from "./conversation.js";
import { formDialog } from "./form.js";
import { panel } from "./panel.js";

const byId = (id) => document.getElementById(id);
const composer = byId("composer");
const input = byId("command");
const status = byId("status");
const scroller = document.querySelector(".scroller");

const typedBefore = [];
let recalled = 0;
let command = { name: "/sandbox", hint: "" };
let channel = "sandbox";
/** The message in whose thread the composer writes; null for the channel. */
let thread = null;

const isDirect = (line) => line.channel?.startsWith("D") ?? false;
const only = (state, direct) => ({ ...state, conversation: state.conversation.filter((line) => isDirect(line) === direct) });
const announce = (text) => (byId("spoken").textContent = text);
const inChannel = conversation(byId("conversation"), { press, choose, reply: writeIn, announce, cue });
const inDirectMessages = conversation(byId("direct-messages"), { press, choose, reply: writeIn, announce, cue: () => {} });
// The direct messages, and those of them that were there when they were looked at last.
let direct = [];
let read = new Set();

const updates = [
  (state) => inChannel(only(state, false)),
  (state) => {
    inDirectMessages(only(state, true));
    direct = only(state, true).conversation.map((line) => line.id);
    byId("places").hidden = !state.bot;
    byId("channel").classList.toggle("visually-hidden", state.bot);
    byId("place-channel").textContent = state.channel;
    showUnread();
  },
  panel(change, typeFromPanel),
  formDialog(byId("form"), {
    submit: (view, values) => change("/form/submit", { view, values }),
    close: (view) => change("/form/close", { view }),
  }),
  (state) => {
    command = state.command;
    byId("hint-name").textContent = command.name;
    byId("hint-usage").textContent = command.hint;
    channel = state.channel;
    byId("channel").lastChild.textContent = channel;
    if (thread && !state.conversation.some((line) => line.id === thread)) thread = null;
    showThread();
  },
];

const events = new EventSource("/events");
events.addEventListener("message", (event) => {
  const state = JSON.parse(event.data);
  updates.forEach((update) => update(state));
  byId("lost").hidden = true;
});
events.addEventListener("error", () => (byId("lost").hidden = false));

/** Posts JSON to the demo. Returns the response's JSON; shows an error and returns null on failure. */
async function post(path, body) {
  try {
    const response = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const result = await response.json();
    if (response.ok) return result;
    status.textContent = `Not sent: ${result.error}.`;
  } catch {
    status.textContent = "The demo is not responding.";
  }
  return null;
}

function change(path, body) {
  status.textContent = "";
  return post(path, body);
}

/** Shows the channel, or the direct messages. */
function showPlace(place) {
  for (const button of document.querySelectorAll("[data-place]")) {
    button.setAttribute("aria-pressed", String(button.dataset.place === place));
  }
  byId("direct").hidden = place !== "direct";
  scroller.hidden = composer.hidden = place === "direct";
  if (place === "direct") byId("cue").hidden = true;
  toEnd(place === "direct" ? byId("direct") : scroller);
  showUnread();
}

/** Shows how many direct messages have come since they were looked at. */
function showUnread() {
  if (!byId("direct").hidden) read = new Set(direct);
  const unread = direct.filter((id) => !read.has(id)).length;
  byId("unread").hidden = unread === 0;
  byId("unread").textContent = `${unread} new`;
}

for (const button of document.querySelectorAll("[data-place]")) {
  button.addEventListener("click", () => showPlace(button.dataset.place));
}

/** Sends a command, or writes a message. */
async function type(text, thread = null) {
  showPlace("channel");
  status.textContent = `Sent ${text}`;
  typedBefore.push(text);
  recalled = typedBefore.length;
  if (!thread) toEnd(scroller);
  const result = await post("/type", { text, thread });
  const isMessage = result && !("acknowledged" in result);
  // As in Slack, a command that failed stays in the composer.
  if (!isMessage && !result?.acknowledged && !input.value) input.value = text;
  if (!result || isMessage) return;
  const took = span(result.took_ms);
  if (result.opened_form) {
    status.textContent = `The app opened a form, after ${took}.`;
    return;
  }
  if (result.replied) status.textContent = `The app replied in the HTTP response, after ${took}.`;
  else if (result.acknowledged) status.textContent = `Accepted; reply to follow (after ${took}).`;
  else status.textContent = `The command failed after ${took}.`;
}

/** Sends a command from the panel, and shows where the answer comes. */
function typeFromPanel(text) {
  showPanel(false);
  type(text);
}

/** Presses a button, after its confirmation dialog if it has one. */
async function press(message, ref, button) {
  if (button.confirm && !(await confirmed(button.confirm))) return;
  const find = () =>
    [...document.querySelectorAll(`[data-message="${message}"] [data-action]`)].find(
      (found) => found.dataset.action === ref.action_id && Number(found.dataset.block) === ref.block,
    );
  find()?.setAttribute("aria-busy", "true");
  await change("/press", { message, ...ref });
  find()?.removeAttribute("aria-busy");
}

/** Chooses a shortcut in the menu of a message. */
async function choose(message, shortcut) {
  status.textContent = `Chose ${shortcut.name}`;
  await post("/shortcut", { message, callback_id: shortcut.callback_id });
}

/** Lets the composer write in the thread of a message, or in the channel. */
function writeIn(message) {
  thread = message;
  showThread();
  input.focus();
}

function showThread() {
  byId("thread").hidden = !thread;
  input.placeholder = thread ? "Reply in the thread" : `Message #${channel}: type /sandbox and a session ID`;
}

byId("leave").addEventListener("click", () => writeIn(null));

function confirmed(confirm) {
  const dialog = byId("confirm");
  const [yes, no] = [byId("confirm-yes"), byId("confirm-no")];
  byId("confirm-title").textContent = confirm.title.text;
  byId("confirm-text").textContent = confirm.text.text;
  yes.textContent = confirm.confirm.text;
  no.textContent = confirm.deny.text;
  yes.className = `button ${confirm.style ?? "primary"}`;
  yes.onclick = () => dialog.close("yes");
  no.onclick = () => dialog.close("no");
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "yes");
    dialog.returnValue = "no";
    dialog.showModal();
  });
}

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = input.value.trim();
  if (!text) return;
  if (thread && text.startsWith("/")) {
    status.textContent = "Slash commands do not work in threads. Type it in the channel.";
    return;
  }
  input.value = "";
  hint();
  type(text, thread);
});

input.addEventListener("input", hint);
input.addEventListener("keydown", (event) => {
  const completes = input.value && input.value !== command.name && command.name.startsWith(input.value);
  if (event.key === "Tab" && !event.shiftKey && completes) {
    event.preventDefault();
    input.value = `${command.name} `;
  } else if (event.key === "ArrowUp" && recalled > 0) {
    event.preventDefault();
    recalled -= 1;
    input.value = typedBefore[recalled];
  } else if (event.key === "ArrowDown" && recalled < typedBefore.length) {
    event.preventDefault();
    recalled += 1;
    input.value = typedBefore[recalled] ?? "";
  } else {
    return;
  }
  hint();
});

/** Shows the usage hint while the input starts with the command's name, as Slack does. */
function hint() {
  const firstWord = input.value.split(" ")[0];
  keepAtEnd(scroller, () => {
    byId("hint").hidden = !firstWord || !command.name.startsWith(firstWord);
  });
}

for (const suggestion of document.querySelectorAll("[data-type]")) {
  suggestion.addEventListener("click", () => type(suggestion.dataset.type));
}

byId("reset").addEventListener("click", async () => {
  if (!(await change("/reset", {}))) return;
  showPanel(false);
  showPlace("channel");
  scroller.scrollTop = 0;
  input.value = "";
  hint();
});

const toggle = byId("toggle");
toggle.addEventListener("click", () => showPanel(!document.body.classList.contains("behind")));

/** On a narrow screen: shows the panel instead of the channel, or the channel. */
function showPanel(open) {
  const focused = document.activeElement;
  document.body.classList.toggle("behind", open);
  toggle.setAttribute("aria-expanded", String(open));
  nameToggle();
  if (!open && !byId("cue").hidden) toEnd(scroller);
  if (focused && !focused.checkVisibility()) toggle.focus();
}

function nameToggle() {
  const open = document.body.classList.contains("behind");
  const back = byId("cue").hidden ? "Back to the channel" : "To the new message";
  toggle.textContent = open ? back : "Behind the scenes";
}

/** Shows or hides the cue that there is a new message below what is visible. */
function cue(isShown) {
  byId("cue").hidden = !isShown;
  nameToggle();
}

byId("cue").addEventListener("click", () => {
  toEnd(scroller);
  byId("conversation").lastElementChild?.focus({ preventScroll: true });
});
