// The configuration in force, to be read: every value under the key that stands in the file, and who asks.

import { keepToken } from "../api.js";
import { list, plain, t } from "../i18n.js";
import { h } from "../parts/dom.js";
import { facts } from "../parts/facts.js";
import { reading } from "../readings.js";
import { filter, here } from "../router.js";
import { changed, hub } from "../store.js";

export function view() {
  const { data, problem } = reading("settings");
  return { title: t("nav.settings"), content: [
    h("p", { key: "how", class: "dim" }, t("settings.how")),
    problem && h("p", { key: "problem", class: "alert", role: "alert" }, plain(problem)),
    data === null ? !problem && h("p", { key: "loading", class: "dim" }, t("loading")) : keys(data.settings),
    caller(),
  ] };
}

function keys(settings) {
  const { q = "" } = here().query;
  const wanted = q.trim().toLowerCase();
  const search = (event) => {
    filter({ q: event.target.value });
    changed();
  };
  const all = Object.entries(settings).flatMap(([name, value]) => leaves(name, value));
  const found = all.filter((each) => each.join(" ").toLowerCase().includes(wanted));
  return [
    h("div", { key: "filters", class: "filters", role: "search" },
      h("input", { type: "search", "aria-label": t("settings.search"), placeholder: t("settings.search"), value: q, oninput: search })),
    found.length ? h("dl", { key: "keys", class: "keys" }, found.map(row)) : h("p", { key: "none", class: "dim" }, t("settings.none")),
  ];
}

const row = ([key, value]) => h("div", { key }, h("dt", {}, h("code", {}, key)), h("dd", {}, plain(value, 2000)));

// Every value of a tree with the key that it has in YAML, as in `radios[0].path`.
function leaves(key, value) {
  if (Array.isArray(value)) {
    if (!value.length) return [[key, t("settings.empty")]];
    const flat = value.every((each) => typeof each !== "object");
    return flat ? [[key, list(value.map(String))]] : value.flatMap((each, i) => leaves(`${key}[${i}]`, each));
  }
  if (value === null || typeof value !== "object") return [[key, value === null ? t("settings.unset") : String(value)]];
  const inner = Object.entries(value);
  return inner.length ? inner.flatMap(([name, each]) => leaves(`${key}.${name}`, each)) : [[key, t("settings.empty")]];
}

function caller() {
  const leave = () => {
    keepToken("");
    location.reload();
  };
  return h("section", { key: "caller" }, h("h2", {}, t("caller")),
    h("div", { class: "card" }, facts([
      [t("caller.actor"), hub.caller.actor],
      [t("caller.may"), list(hub.caller.scopes.map((each) => t(`scope.${each}`)))],
    ])),
    h("div", { class: "acts" }, h("button", { type: "button", onclick: leave }, t("caller.leave"))));
}
