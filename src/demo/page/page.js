// The playground: a composer, a conversation and a look behind the scenes, all drawn from the state that the demo sends.

import { conversation, keepingTheEnd, span } from "./conversation.js";
import { panel } from "./panel.js";

const byId = (id) => document.getElementById(id);
const composer = byId("composer");
const input = byId("command");
const status = byId("status");
const scroller = document.querySelector(".scroller");

const typedBefore = [];
let recalled = 0;
let command = { name: "/sandbox", hint: "" };

const updates = [
  conversation(byId("conversation"), press, (words) => (byId("spoken").textContent = words)),
  panel(change, type),
  (state) => {
    command = state.command;
    byId("hint-name").textContent = command.name;
    byId("hint-usage").textContent = command.hint;
  },
];

const events = new EventSource("/events");
events.addEventListener("message", (event) => {
  const state = JSON.parse(event.data);
  updates.forEach((update) => update(state));
  byId("lost").hidden = true;
});
events.addEventListener("error", () => (byId("lost").hidden = false));

/** Posts to the demo; its refusal is told, and is no answer. */
async function post(path, body) {
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const told = await answer.json();
    if (answer.ok) return told;
    status.textContent = `Not done: ${told.error}.`;
  } catch {
    status.textContent = "The demo does not answer any more.";
  }
  return null;
}

function change(path, body) {
  status.textContent = "";
  return post(path, body);
}

/** Types a command, as if by hand. */
async function type(text) {
  status.textContent = `Sent ${text}`;
  typedBefore.push(text);
  recalled = typedBefore.length;
  scroller.scrollTop = scroller.scrollHeight;
  const told = await post("/type", { text });
  // As in Slack, what failed stays in the composer.
  if (!told?.acknowledged && !input.value) input.value = text;
  if (!told) return;
  const took = span(told.took_ms);
  if (told.answered) status.textContent = `The app answered in its response, after ${took}.`;
  else if (told.acknowledged) status.textContent = `Acknowledged without a word after ${took}; the answer comes as a message.`;
  else status.textContent = `The app failed this command, after ${took}.`;
}

/** Presses a button, after its confirm dialog where it has one. */
async function press(message, place, button) {
  if (button.confirm && !(await confirmed(button.confirm))) return;
  const find = () =>
    [...document.querySelectorAll(`[data-message="${message}"] [data-action]`)].find(
      (found) => found.dataset.action === place.action_id && Number(found.dataset.block) === place.block,
    );
  find()?.setAttribute("aria-busy", "true");
  await change("/press", { message, ...place });
  find()?.removeAttribute("aria-busy");
}

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
  input.value = "";
  hint();
  type(text);
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

/** Slack's hint appears as soon as a command is begun. */
function hint() {
  const begun = input.value.split(" ")[0];
  keepingTheEnd(scroller, () => {
    byId("hint").hidden = !begun || !command.name.startsWith(begun);
  });
}

for (const suggestion of document.querySelectorAll("[data-type]")) {
  suggestion.addEventListener("click", () => type(suggestion.dataset.type));
}

const toggle = byId("toggle");
toggle.addEventListener("click", () => {
  const open = document.body.classList.toggle("behind");
  toggle.setAttribute("aria-expanded", String(open));
  toggle.textContent = open ? "Back to the channel" : "Behind the scenes";
});
