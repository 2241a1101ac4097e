// What an update does to the settings of its device: what was recorded before it, what was given back, and what is lost.

import { dots, plain, t } from "../i18n.js";
import { h } from "./dom.js";

const KINDS = {
  on_off: "now", level: "now", start_up_on_off: "start", start_up_level: "start", start_up_color_temperature: "start",
  group: "group", binding: "binding", reporting: "reporting", association: "association", parameter: "parameter",
};

// A line for lists; null where nothing is lost.
export function loss({ behaviour }) {
  return behaviour?.lost.length ? t("behaviour.lost.line", { n: behaviour.lost.length, what: names(behaviour.lost) }) : null;
}

export function behaviour(update, { data }) {
  const found = update.behaviour;
  const recorded = data?.recorded || [];
  if (!found && !recorded.length) return null;
  return h("section", { key: "behaviour" }, h("h2", {}, t("behaviour")), h("div", { class: "card tall" },
    found ? became(found) : h("p", {}, t("behaviour.recorded", { n: recorded.length })),
    !found && h("ul", { class: "plain" }, counted(recorded).map(([group, some]) => h("li", { key: group },
      h("details", {}, h("summary", {}, dots([t(`setting.${group}`), String(some.length)])),
        h("p", { class: "dim" }, some.map((each) => plain(each.name, 80)).join(", "))))))));
}

function became({ kept, restored, lost, not_compared }) {
  const sum = lost.length ? "behaviour.worse" : restored.length ? "behaviour.mended" : "behaviour.same";
  return [
    h("p", { key: "sum", class: lost.length ? "bad" : "" }, t(sum)),
    lost.length > 0 && h("p", { key: "help", class: "help" }, t("help", { what: t("behaviour.help") })),
    h("dl", { key: "told" }, [
      ["behaviour.lost", lost], ["behaviour.restored", restored], ["behaviour.not-compared", not_compared],
    ].filter(([, some]) => some.length).map(([key, some]) => h("div", { key, class: "wide" }, h("dt", {}, t(key)), h("dd", {}, names(some, 200)))),
    kept > 0 && h("div", { key: "kept" }, h("dt", {}, t("behaviour.kept")), h("dd", {}, t("behaviour.settings", { n: kept })))),
  ];
}

const names = (some, most = 6) => {
  const shown = some.slice(0, most).map((each) => plain(each, 80)).join(", ");
  return some.length > most ? `${shown} ${t("more", { n: some.length - most })}` : shown;
};

function counted(recorded) {
  const found = new Map();
  for (const each of recorded) {
    const group = KINDS[each.kind] || "other";
    found.set(group, [...(found.get(group) || []), each]);
  }
  return [...found];
}
