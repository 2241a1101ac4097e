// Sentences out of the catalogue, and numbers and times as the reader's language writes them.

import { LANGUAGE, WORDS } from "./words.js";

const plural = new Intl.PluralRules(LANGUAGE);
const numbers = [0, 1, 2].map((digits) => new Intl.NumberFormat(LANGUAGE, { minimumFractionDigits: digits, maximumFractionDigits: digits }));
const clock = new Intl.DateTimeFormat(LANGUAGE, { hour: "2-digit", minute: "2-digit", hour12: false });
const day = new Intl.DateTimeFormat(LANGUAGE, { weekday: "short", day: "numeric", month: "short" });
const full = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "medium", timeStyle: "medium", hour12: false });
const lists = new Intl.ListFormat(LANGUAGE, { type: "conjunction" });

// The sentence of a key with `{name}` filled in. Where it has forms, `n` says which.
export function t(key, values = {}) {
  const found = WORDS[key];
  const text = typeof found === "object" ? found[plural.select(values.n)] ?? found.other : found ?? key;
  return text.replace(/\{(\w+)\}/g, (all, name) => (name in values ? filled(values[name]) : all));
}

const filled = (value) => (typeof value === "number" ? number(value) : plain(value));

export const has = (key) => Object.hasOwn(WORDS, key);

// What stands behind `prefix` in the keys of the catalogue.
export const keys = (prefix) => Object.keys(WORDS).filter((each) => each.startsWith(prefix)).map((each) => each.slice(prefix.length));

const CONTROLS = "\\u0000-\\u0009\\u000b-\\u001f\\u007f-\\u009f";
const INVISIBLE = "\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff\\ud800-\\udfff";
const HIDDEN = new RegExp(`[${CONTROLS}${INVISIBLE}]`, "gu");

// What moves a cursor, is not seen, or turns a line around is shown as a mark; long text is cut.
export function plain(value, longest = 400) {
  const text = String(value ?? "").replace(HIDDEN, "\ufffd");
  return text.length > longest ? text.slice(0, longest - 1) + "…" : text;
}

export const number = (value, digits = 0) => numbers[digits].format(value);
export const dots = (parts) => parts.filter(Boolean).join(" · ");
export const list = (items) => lists.format(items);

export function size(bytes) {
  if (bytes === null || bytes === undefined) return "";
  if (bytes < 1000) return `${number(bytes)} B`;
  return bytes < 999950 ? `${number(bytes / 1000, 1)} kB` : `${number(bytes / 1e6, 1)} MB`;
}

export const rate = (value) => (value === null || value === undefined ? "" : t("rate", { size: size(value) }));

const UNITS = [["days", 86400], ["hours", 3600], ["minutes", 60], ["seconds", 1]];

// How long, in the two largest units; from ten minutes on without seconds.
export function duration(seconds) {
  const grain = seconds < 600 ? 1 : 60;
  const left = Math.max(0, Math.round(seconds / grain) * grain);
  const at = UNITS.findIndex(([, length]) => length <= Math.max(1, left));
  const [[large, length], [small, less] = []] = UNITS.slice(at, at + 2);
  const rest = small ? Math.floor((left % length) / less) : 0;
  return [t(large, { n: Math.floor(left / length) }), rest > 0 && t(small, { n: rest })].filter(Boolean).join(" ");
}

// As little precision as helps: for a sentence at the top of the page.
export const about = (seconds) => (seconds < 45 ? t("a-moment") : seconds < 3600 ? t("minutes", { n: Math.ceil(seconds / 60) }) : duration(seconds));

export function ago(moment) {
  if (!moment) return t("never");
  const seconds = (Date.now() - new Date(moment)) / 1000;
  if (seconds < 10) return t("just-now");
  const [unit, length] = UNITS.find(([, each]) => each <= seconds);
  const n = Math.floor(seconds / length);
  return t("ago", { time: t(unit, { n: unit === "seconds" ? n - (n % 10) : n }) });
}

// A moment to come or gone, as people say it: today by the clock alone.
export function when(moment) {
  if (!moment) return "";
  const at = new Date(moment);
  const days = Math.round((midnight(at) - midnight(new Date())) / 86400000);
  if (days === 0) return clock.format(at);
  if (days === 1) return t(at.getHours() < 6 && new Date().getHours() >= 12 ? "tonight" : "tomorrow", { time: clock.format(at) });
  return days === -1 ? t("yesterday", { time: clock.format(at) }) : `${day.format(at)} ${clock.format(at)}`;
}

// The end of a time that begins at `from`: on the same day, the clock alone.
export function until(from, to) {
  const [begins, ends] = [new Date(from), new Date(to)];
  return midnight(begins).getTime() === midnight(ends).getTime() ? clock.format(ends) : when(to);
}

function midnight(at) {
  return new Date(at.getFullYear(), at.getMonth(), at.getDate());
}

export const exact = (moment) => (moment ? full.format(new Date(moment)) : "");
export const hex = (value, digits = 4) => (value === null || value === undefined ? "" : `0x${value.toString(16).padStart(digits, "0")}`);

// A version as people compare it: the four bytes of a Zigbee file version by dots, a dotted one as it is. The raw form goes beside it.
export function version(value) {
  if (value === null || value === undefined) return t("version.unknown");
  return typeof value === "number" ? [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff).join(".") : plain(value, 40);
}

export const raw = (value) => (typeof value === "number" ? hex(value, 8) : "");

// Both forms beside each other.
export const inFull = (value) => [version(value), raw(value)].filter(Boolean).join(" ");
