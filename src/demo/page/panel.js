// The control panel: Kapso's faults and sessions, the clock, and the last request with its replies.

import { span, triggerOf } from "./conversation.js";
import { blockKitBuilder, el } from "./dom.js";

const CHANGES = [
  ["activate", "Activate"],
  ["expire", "Expire"],
  ["supersede", "Supersede"],
  ["delete", "Delete"],
];

/** Renders the panel. `post(path, body)` changes the demo's state, `type(command)` sends a command. */
export function panel(post, type) {
  const byId = (id) => document.getElementById(id);
  const parts = [
    choice("fault", byId("faults"), byId("fault-what"), (state) => state.faults, (fault) => post("/kapso/fault", { fault })),
    choice("channel", byId("channels"), byId("channel-what"), (state) => state.channels, (channel) => post("/channel", { channel })),
    sessions(byId("sessions"), post, type),
    clock(byId("clock"), post),
    exchange(byId("exchange")),
  ];
  return (state) => parts.forEach((update) => update(state));
}

/** Radio buttons for the entries of `all(state)`, of which `state[key]` names the chosen one. */
function choice(key, fieldset, description, all, choose) {
  const radios = new Map();
  return (state) => {
    for (const { name, label } of all(state)) {
      if (radios.has(name)) continue;
      const radio = el("input", { type: "radio", name: key, value: name, change: () => choose(name) });
      radios.set(name, radio);
      fieldset.append(el("label", { class: "chip" }, radio, el("span", {}, label)));
    }
    radios.get(state[key]).checked = true;
    description.textContent = all(state).find((entry) => entry.name === state[key]).effect;
  };
}

function sessions(list, post, type) {
  const rows = new Map();
  const none = el("li", {}, "No sessions left. Reset restores them.");
  return (state) => {
    const known = new Set(state.sessions.map((session) => session.id));
    for (const [id, row] of rows) {
      if (known.has(id)) continue;
      const neighbour = row.node.nextElementSibling ?? row.node.previousElementSibling ?? list;
      if (row.node.contains(document.activeElement)) (neighbour.querySelector("button") ?? list).focus();
      row.node.remove();
      rows.delete(id);
    }
    for (const session of state.sessions) {
      if (!rows.has(session.id)) {
        rows.set(session.id, row(session.id, post, type, state.command.name));
        list.append(rows.get(session.id).node);
      }
      rows.get(session.id).update(session);
    }
    if (rows.size === 0) list.append(none);
    else none.remove();
  };
}

function row(id, post, type, command) {
  const status = el("span", { class: "status" });
  const change = ([name, label]) =>
    el(
      "button",
      {
        type: "button",
        class: "small",
        "aria-label": `${label} ${id}`,
        click: () => post(`/kapso/sessions/${encodeURIComponent(id)}/${name}`, {}),
      },
      label,
    );
  const lookUp = el(
    "button",
    { type: "button", class: "id", title: `Type ${command} ${id}`, click: () => type(`${command} ${id}`) },
    el("span", { class: "visually-hidden" }, "Look up "),
    id,
  );
  const node = el(
    "li",
    { class: "session", "data-session": id },
    el("p", { class: "top" }, lookUp, status),
    el("p", { class: "changes" }, ...CHANGES.map(change)),
  );
  const update = (session) => {
    status.textContent = String(session.status ?? "").replaceAll("_", " ");
    status.dataset.status = session.status;
  };
  return { node, update };
}

function clock(section, post) {
  const time = section.querySelector("time");
  let ahead = 0;
  const show = () => {
    const now = new Date(Date.now() + ahead);
    time.dateTime = now.toISOString();
    time.textContent = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" }).format(now);
  };
  for (const button of section.querySelectorAll("button")) {
    button.addEventListener("click", () => post("/clock", { minutes: Number(button.dataset.minutes) }));
  }
  setInterval(show, 10_000);
  return (state) => {
    ahead = state.now_ms - Date.now();
    show();
  };
}

/** The last command or press, request by request. */
function exchange(section) {
  let before = "";
  return (state) => {
    const key = JSON.stringify([state.exchange, state.requests]);
    if (key === before) return;
    before = key;
    const open = new Set([...section.querySelectorAll("details[open]")].map((details) => details.dataset.name));
    const focused = section.contains(document.activeElement) && document.activeElement.closest("details")?.dataset.name;
    section.replaceChildren(...(state.exchange ? steps(state) : [el("p", {}, "Nothing yet.")]));
    for (const details of section.querySelectorAll("details")) {
      details.open = open.has(details.dataset.name);
      if (focused === details.dataset.name) details.querySelector("summary").focus();
    }
  };
}

function steps(state) {
  const { exchange } = state;
  const { request } = exchange;
  const trigger = triggerOf(exchange, state.shortcuts);
  const last = exchange.replies.findLast((reply) => reply.body?.blocks);
  const steps = [
    state.socket
      ? step("Slack → app", `${request?.path ?? "…"}, through the socket`, [
          more("form", "Payload (JSON)", json(request?.fields ?? null)),
        ])
      : step("Slack → app", request ? `POST ${request.path}` : "…", [
          more("form", "Form fields (JSON)", json(request?.fields ?? null)),
          more("signed", "Signed string", request?.base_string ?? ""),
          more("signature", "Signature headers", request ? headers(request) : ""),
        ]),
    ...state.requests.map((call) =>
      step("app → Kapso", `${call.line} · ${call.status ? `${call.status} after ${span(call.took_ms)}` : "no answer"}`),
    ),
    ...exchange.replies.map((reply, index) =>
      step("app → Slack", `${summary(reply, state.socket)} after ${span(reply.after_ms)}`, [
        reply.body === null ? null : more(`answer-${index}`, "Reply (JSON)", json(reply.body)),
      ]),
    ),
  ];
  return [
    el("p", { class: "what" }, el("code", {}, trigger)),
    el("ol", { class: "steps" }, ...steps),
    last
      ? el("a", { class: "builder", href: blockKitBuilder(last.body), target: "_blank", rel: "noopener noreferrer" }, "Open these blocks in Slack’s Block Kit Builder ↗")
      : null,
  ].filter(Boolean);
}

function summary(reply, socket) {
  if (reply.by === "response_url") return `a post to the response_url, ${reply.status}`;
  if (reply.status === null) return "no response";
  if (socket) return reply.body === null ? "an acknowledgement" : "an acknowledgement with the reply";
  return reply.body === null ? `${reply.status}, empty` : `${reply.status} with the reply`;
}

function step(from, line, details = []) {
  return el("li", {}, el("span", { class: "from" }, from), " ", el("span", { class: "line" }, line), ...details);
}

function more(name, title, text) {
  return el("details", { "data-name": name }, el("summary", {}, title), el("pre", { tabindex: "0" }, text));
}

function headers(request) {
  return `X-Slack-Request-Timestamp: ${request.timestamp}\nX-Slack-Signature: ${request.signature}`;
}

function json(value) {
  return JSON.stringify(value, null, 2);
}
