// Parses and renders mrkdwn, Slack's markup: https://docs.slack.dev/messaging/formatting-message-text

import { el, link } from "./dom.js";

const PEOPLE = { U2147483697: "steve" };
/** After a reset of the playground, the person has another id. */
const person = (id) => PEOPLE[id.split("R")[0]];
const CHANNELS = { C2147483705: "sandbox" };
const STYLES = { "*": "strong", _: "em", "~": "s" };

/** Renders mrkdwn. `now`, in milliseconds, decides which dates are "today". */
export function mrkdwn(text, now) {
  const shown = document.createDocumentFragment();
  text.split("```").forEach((part, index) => {
    if (index % 2 === 1) shown.append(el("pre", {}, unescaped(part.replace(/^\n|\n$/g, ""))));
    else if (part) shown.append(...lines(part, now));
  });
  return shown;
}

/** The text without markup, as in notifications and screen readers. */
export function plain(text, now) {
  return mrkdwn(text, now).textContent;
}

function lines(text, now) {
  const shown = [];
  let quote = null;
  text.split("\n").forEach((line, number) => {
    const quoted = /^(?:&gt;|>) ?(.*)$/.exec(line);
    if (quoted) {
      if (quote) quote.append("\n");
      else shown.push((quote = el("blockquote")));
      quote.append(...inline(quoted[1], now));
    } else {
      if (number > 0 && !quote) shown.push("\n");
      quote = null;
      shown.push(...inline(line, now));
    }
  });
  return shown;
}

/** Renders one line: code, tokens in angle brackets, styles, text. */
function inline(text, now) {
  const shown = [];
  let words = "";
  const flush = () => {
    if (words) shown.push(unescaped(words));
    words = "";
  };
  for (let at = 0; at < text.length; ) {
    const found = code(text, at) ?? bracketed(text, at, now) ?? styled(text, at, now);
    if (found) {
      flush();
      shown.push(found.node);
      at = found.end;
    } else {
      words += text[at];
      at += 1;
    }
  }
  flush();
  return shown;
}

function code(text, at) {
  if (text[at] !== "`") return null;
  const end = text.indexOf("`", at + 1);
  if (end <= at + 1) return null;
  return { node: el("code", {}, unescaped(text.slice(at + 1, end))), end: end + 1 };
}

function styled(text, at, now) {
  const name = STYLES[text[at]];
  if (!name || /[\p{L}\p{N}]/u.test(text[at - 1] ?? "") || /\s/.test(text[at + 1] ?? " ")) return null;
  for (let end = text.indexOf(text[at], at + 2); end > 0; end = text.indexOf(text[at], end + 1)) {
    const closes = !/\s/.test(text[end - 1]) && !/[\p{L}\p{N}]/u.test(text[end + 1] ?? "");
    if (closes) return { node: el(name, {}, ...inline(text.slice(at + 1, end), now)), end: end + 1 };
  }
  return null;
}

function bracketed(text, at, now) {
  const end = text[at] === "<" ? text.indexOf(">", at) : -1;
  if (end < 0) return null;
  const inside = text.slice(at + 1, end);
  return { node: token(inside, now), end: end + 1 };
}

function token(inside, now) {
  const [target, ...rest] = inside.split("|");
  const label = rest.join("|");
  switch (target[0]) {
    case "@":
      return mention("@" + (label || person(target.slice(1)) || target.slice(1)));
    case "#":
      return mention("#" + (label || CHANNELS[target.slice(1)] || target.slice(1)));
    case "!":
      return target.startsWith("!date^") ? date(target, label, now) : mention(label || "@" + target.slice(1));
    default:
      return link(unescaped(target), {}, unescaped(label || target));
  }
}

function mention(words) {
  return el("span", { class: "mention" }, unescaped(words));
}

/** `!date^seconds^format^link`: https://docs.slack.dev/messaging/formatting-message-text#date-formatting */
function date(target, fallback, now) {
  const [, seconds, format, address] = target.split("^");
  const at = new Date(Number(seconds) * 1000);
  if (!/^\d+$/.test(seconds) || Number.isNaN(at.getTime()) || !format) return document.createTextNode(unescaped(fallback));
  const words = format.replace(/\{(\w+)\}/g, (placeholder, name) => DATES[name]?.(at, now) ?? placeholder);
  const time = el("time", { datetime: at.toISOString(), title: unescaped(fallback) }, unescaped(words));
  return address ? link(unescaped(address), {}, time) : time;
}

const local = (options) => (at) => new Intl.DateTimeFormat(undefined, options).format(at);
const pretty = (otherwise) => (at, now) => {
  const days = Math.round((midnight(at) - midnight(new Date(now))) / 86_400_000);
  return Math.abs(days) <= 1 ? inWords(days, "day") : otherwise(at, now);
};
const short = local({ year: "numeric", month: "short", day: "numeric" });
const long = local({ year: "numeric", month: "long", day: "numeric", weekday: "long" });
const DATES = {
  date_num: (at) => [at.getFullYear(), at.getMonth() + 1, at.getDate()].map((n) => String(n).padStart(2, "0")).join("-"),
  date: fullDate,
  date_short: short,
  date_long: long,
  date_pretty: pretty(fullDate),
  date_short_pretty: pretty(short),
  date_long_pretty: pretty(long),
  time: local({ hour: "numeric", minute: "2-digit" }),
  time_secs: local({ hour: "numeric", minute: "2-digit", second: "2-digit" }),
  ago,
};

/** Omits the year if the date is within half a year. */
function fullDate(at, now) {
  const near = Math.abs(at - now) < 183 * 86_400_000;
  return local({ year: near ? undefined : "numeric", month: "long", day: "numeric" })(at);
}

function ago(at, now) {
  const seconds = (at - now) / 1000;
  const [unit, length] = [["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]].find(
    ([, length]) => Math.abs(seconds) >= length || length === 1,
  );
  return inWords(Math.round(seconds / length), unit);
}

function inWords(count, unit) {
  return new Intl.RelativeTimeFormat(undefined, { numeric: "auto" }).format(count, unit);
}

function midnight(at) {
  return new Date(at.getFullYear(), at.getMonth(), at.getDate()).getTime();
}

/** Slack escapes only these three characters. */
function unescaped(text) {
  return text.replace(/&(amp|lt|gt);/g, (_, name) => ({ amp: "&", lt: "<", gt: ">" })[name]);
}
