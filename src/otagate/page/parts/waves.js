// The waves of a rollout as a picture: each as wide as its devices are many, filled by how they did, with the same in words below it.

import { duration, number, plain, t } from "../i18n.js";
import { nameOf } from "../store.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";

const TALLY = ["succeeded", "failed", "excused", "pending"];
const NAMES = 20;
const PICTURES = { finished: "check", error: "alert", scheduled: "clock" };

const total = (wave) => wave.devices.length || 1;

function tally(wave) {
  const told = TALLY.filter((each) => wave[each] > 0).map((each) => t(`tally.${each}`, { n: wave[each] }));
  return told.join(", ") || t("tally.empty");
}

function filled(wave) {
  return h("span", { class: `fill ${wave.state}`, "aria-hidden": "true" },
    TALLY.filter((each) => wave[each] > 0).map((each) => h("span", { key: each, class: each, share: wave[each] / total(wave) })));
}

// One line for a list; a wave is at least a little wide, however few it holds.
export function strip(rollout) {
  const says = rollout.waves.map((wave) => `${t("rollout.wave", { n: wave.number })}: ${tally(wave)}`).join("; ");
  const all = rollout.waves.reduce((sum, wave) => sum + total(wave), 0);
  return h("div", { key: "strip", class: "strip", role: "img", "aria-label": t("rollout.picture", { name: rollout.name, says }) },
    rollout.waves.map((wave) => h("span", { key: wave.number, share: Math.max(0.06, total(wave) / all) }, filled(wave))));
}

export function waves(rollout) {
  return h("ol", { key: "waves", class: "waves" }, rollout.waves.map((wave) => h("li", { key: wave.number, class: wave.state },
    h("h3", {}, PICTURES[wave.state] && icon(PICTURES[wave.state]), t("rollout.wave", { n: wave.number }),
      h("span", { class: `chip ${wave.state}` }, t(`wave.${wave.state}`))),
    filled(wave),
    h("p", {}, t("rollout.devices", { n: wave.devices.length }), ": ", tally(wave)),
    h("p", { class: "dim" }, must(wave)),
    h("details", {}, h("summary", {}, t("wave.who")), h("p", { class: "dim" }, who(wave))))));
}

function must({ success, error, soak, gate }) {
  const share = (value) => t("percent", { n: number(100 * value) });
  const watched = seconds(soak) > 0 && t("wave.soak", { time: duration(seconds(soak)) });
  const shown = [t("wave.must", { success: share(success), error: share(error) }), watched];
  return [...shown, t(`wave.gate.${gate}`)].filter(Boolean).join(" ");
}

// A span as the hub writes it: 90m, 24h, 1d, or 0.
function seconds(span) {
  return Number.parseInt(span, 10) * ({ s: 1, m: 60, h: 3600, d: 86400 }[span.at(-1)] || 1);
}

function who({ devices }) {
  const names = devices.slice(0, NAMES).map((each) => plain(nameOf(each), 80)).join(", ");
  return devices.length > NAMES ? `${names} … ${t("more", { n: devices.length - NAMES })}` : names;
}
