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
  return text.replace(/\{(\w+)\}/g, (all, name) => (name in values ? (typeof values[name] === "number" ? number(values[name]) : plain(values[name])) : all));
}

export const has = (key) => Object.hasOwn(WORDS, key);

// What stands behind `prefix` in the keys of the catalogue.
export const keys = (prefix) => Object.keys(WORDS).filter((each) => each.startsWith(prefix)).map((each) => each.slice(prefix.length));

// What moves a cursor, is not seen, or turns a line around is shown as a mark; long text is cut.
export function plain(value, longest = 400) {
  const text = String(value ?? "").replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]/gu, "\ufffd");
  return text.length > longest ? text.slice(0, longest - 1) + "…" : text;
}

export const number = (value, digits = 0) => numbers[digits].format(value);
export const list = (items) => lists.format(items);

export function size(bytes) {
  if (bytes === null || bytes === undefined) return "";
  if (bytes < 1000) return `${number(bytes)} B`;
  return bytes < 999950 ? `${number(bytes / 1000, 1)} kB` : `${number(bytes / 1e6, 1)} MB`;
}

export const rate = (value) => (value === null || value === undefined ? "" : t("rate", { size: size(value) }));

// How long, in the two largest units.
export function duration(seconds) {
  const left = Math.max(0, Math.round(seconds));
  if (left < 60) return t("seconds", { n: left });
  if (left < 3600) return left < 600 && left % 60 ? `${t("minutes", { n: Math.floor(left / 60) })} ${t("seconds", { n: left % 60 })}` : t("minutes", { n: Math.round(left / 60) });
  if (left < 86400) return [t("hours", { n: Math.floor(left / 3600) }), left % 3600 >= 60 && t("minutes", { n: Math.floor((left % 3600) / 60) })].filter(Boolean).join(" ");
  return [t("days", { n: Math.floor(left / 86400) }), left % 86400 >= 3600 && t("hours", { n: Math.floor((left % 86400) / 3600) })].filter(Boolean).join(" ");
}

// As little precision as helps: for a sentence at the top of the page.
export const about = (seconds) => (seconds < 45 ? t("a-moment") : seconds < 3600 ? t("minutes", { n: Math.ceil(seconds / 60) }) : duration(seconds));

export function ago(moment) {
  if (!moment) return t("never");
  const seconds = (Date.now() - new Date(moment)) / 1000;
  return seconds < 10 ? t("just-now") : seconds < 60 ? t("ago", { time: t("seconds", { n: Math.floor(seconds / 10) * 10 }) }) : t("ago", { time: coarse(seconds) });
}

function coarse(seconds) {
  if (seconds < 3600) return t("minutes", { n: Math.floor(seconds / 60) });
  return seconds < 86400 ? t("hours", { n: Math.floor(seconds / 3600) }) : t("days", { n: Math.floor(seconds / 86400) });
}

// A moment to come or gone, as people say it: today by the clock alone.
export function when(moment) {
  if (!moment) return "";
  const at = new Date(moment);
  const days = Math.round((midnight(at) - midnight(new Date())) / 86400000);
  if (days === 0) return clock.format(at);
  if (days === 1) return at.getHours() < 6 && new Date().getHours() >= 12 ? t("tonight", { time: clock.format(at) }) : t("tomorrow", { time: clock.format(at) });
  return days === -1 ? t("yesterday", { time: clock.format(at) }) : `${day.format(at)} ${clock.format(at)}`;
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
