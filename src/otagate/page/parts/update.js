// One update as a line of a list: what it is, how far it is or why it ended, and what a person can do with it.

import { ago, dots, duration, number, plain, rate, t, version } from "../i18n.js";
import { order } from "../orders.js";
import { to } from "../router.js";
import { FINAL, hub, may, nameOf } from "../store.js";
import { loss } from "./behaviour.js";
import { deviceLink } from "./device.js";
import { h } from "./dom.js";

const MOVING = new Set(["fetching", "offering", "transferring", "staged", "activating", "confirming"]);
const ACTS = {
  planned: ["approve", "cancel"],
  queued: ["pause", "cancel"],
  fetching: ["cancel"],
  offering: ["pause", "cancel"],
  transferring: ["pause", "cancel"],
  staged: ["activate", "cancel"],
  failed: ["retry"],
  cancelled: ["retry"],
};
const SILENT = 60000; // a device asks for blocks every few seconds; one that sleeps, when it wakes

// What this person can do with it now; nothing with what another program began.
export function actsOf(update, states = ACTS) {
  const allowed = (verb) => may(verb === "approve" ? "approve" : "operate");
  const meant = (verb) => (verb === "pause" && update.reason === "paused" ? "resume" : verb);
  const verbs = update.foreign ? [] : (states[update.state] || []).filter(allowed).map(meant);
  return verbs.length > 0 && h("div", { key: "acts", class: "acts" }, verbs.map((verb) => h("button", {
    key: verb === "resume" ? "pause" : verb, // one button, which keeps the focus; no other ever turns into another below a finger
    type: "button",
    "aria-label": t("act.of", { act: t(`act.${verb}`), name: nameOf(update.device) }),
    onclick: () => order("POST", `updates/${encodeURIComponent(update.id)}/${verb}`),
  }, t(`act.${verb}`))));
}

// What holds it up and what a person can do about it: { why, help }, null where it moves or has ended.
export function holdUp(update) {
  const silence = hub.line.open ? Date.now() - Math.max(hub.moved.get(update.id)?.at ?? Date.now(), hub.line.since) : 0;
  if (FINAL.has(update.state)) return null;
  if (update.reason) return { why: update.sentence || t(`reason.${update.reason}`), help: t(`reason.${update.reason}.more`) };
  if (update.state !== "transferring" || silence < SILENT) return update.sentence ? { why: update.sentence, help: "" } : null;
  const sleeps = hub.devices.get(update.device)?.power === "battery";
  return { why: t("stall.silent", { time: duration(silence / 1000) }), help: t(sleeps ? "stall.sleeps" : "stall.awake") };
}

// From which version to which; the bytes of an image may name none.
export function change({ from_version, to_version }) {
  return `${version(from_version)} → ${to_version === null ? t("version.unnamed") : version(to_version)}`;
}

export function bar(update) {
  return MOVING.has(update.state) && h("progress", {
    key: "bar", max: "100", value: update.progress.percent, "aria-label": t("update.progress", { name: nameOf(update.device) }),
  });
}

export function pace({ progress: { bytes_per_second, eta_seconds } }) {
  return [rate(bytes_per_second), eta_seconds === null ? "" : t("update.left", { time: duration(eta_seconds) })].filter(Boolean).join(" · ");
}

export function updateRow(update) {
  const ended = update.finished && ago(update.finished);
  const moving = update.state === "transferring";
  const speed = dots([moving && t("percent", { n: number(update.progress.percent) }), pace(update)]);
  const why = update.error?.detail || holdUp(update)?.why || (!moving && t(`state.${update.state}.more`));
  const lost = loss(update);
  const verbs = update.state === "cancelled" ? {} : ACTS; // in a list, who cancelled it is not asked again
  return h("li", { key: update.id, class: "beside" },
    h("p", {}, deviceLink(update.device), ` ${change(update)} · `,
      h("a", { href: to("update", update.id), "aria-label": t("update.see", { state: t(`state.${update.state}`), name: nameOf(update.device) }) },
        t(`state.${update.state}`)), ended ? `, ${ended}` : ""),
    why && h("p", { key: "why", class: update.error ? "bad" : "dim" }, plain(why)),
    lost && h("p", { key: "lost", class: "bad" }, lost),
    bar(update),
    speed && h("p", { key: "speed", class: "dim" }, speed),
    actsOf(update, verbs));
}
