// What would become of one component: when, how long, what it costs, and every rule that says so.

import { dots, duration, number, plain, rate, size, t, when } from "../i18n.js";
import { h } from "./dom.js";

// When it would begin, in the clock of whoever looks; where nobody can tell, the hub's own sentence.
export function begins({ kind, sentence, begins: at, window }) {
  if (kind === "unknown") return plain(sentence);
  const later = at && Date.parse(at) > Date.now();
  const told = t(kind === "wake" && later ? "when.wake.later" : `when.${kind}`, { time: when(at), window });
  return window && kind !== "window" ? t("when.within", { told, window }) : t("when.told", { told });
}

export function planOf(plan) {
  return [
    h("p", { key: "sentence" }, plan.when?.sentence === plan.sentence ? "" : `${plain(plan.sentence)} `, plan.when && begins(plan.when)),
    h("p", { key: "figures", class: "dim" }, figures(plan)),
    plan.steps.length > 1 && h("p", { key: "steps", class: "dim" },
      t("plan.steps", { n: plan.steps.length, steps: plan.steps.map((each) => plain(each.to_display_version, 40)).join(" → ") })),
    plan.rules.length > 0 && h("details", { key: "rules" }, h("summary", {}, t("plan.rules")), h("ol", { class: "rules" }, plan.rules.map((each) =>
      h("li", { key: each.rule, class: each.decides ? "decides" : "" }, h("strong", {}, t(`rule.${each.outcome}`)), ` ${plain(each.sentence)}`)))),
  ];
}

function figures({ minutes, bytes_per_second, airtime_seconds, battery_percent, steps }) {
  const bytes = steps.reduce((sum, each) => sum + each.size, 0);
  const known = minutes && t(`known.${minutes.known}`);
  return dots([
    bytes && size(bytes),
    minutes && t("plan.minutes", { time: duration(60 * minutes.value) }),
    bytes_per_second && rate(bytes_per_second.value),
    airtime_seconds && t("plan.airtime", { time: duration(airtime_seconds.value) }),
    battery_percent?.value && t("plan.battery", { n: number(battery_percent.value, 1) }),
    known,
  ]);
}
