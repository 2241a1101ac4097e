// One update as a line of a list: what it is, how far it is or why it ended, and what a person can do with it.

import { ago, duration, plain, rate, t, version } from "../i18n.js";
import { order } from "../orders.js";
import { nameOf } from "../store.js";
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
};

function buttons(update, verbs) {
  const meant = verbs.map((verb) => (verb === "pause" && update.reason === "paused" ? "resume" : verb));
  return meant.map((verb) => h("button", {
    key: verb,
    type: "button",
    "aria-label": t("act.of", { act: t(`act.${verb}`), name: nameOf(update.device) }),
    onclick: () => order("POST", `updates/${encodeURIComponent(update.id)}/${verb}`),
  }, t(`act.${verb}`)));
}

export function updateRow(update) {
  const { percent, bytes_per_second, eta_seconds } = update.progress;
  const ended = update.finished && ago(update.finished);
  const speed = [rate(bytes_per_second), eta_seconds === null ? "" : t("update.left", { time: duration(eta_seconds) })].filter(Boolean).join(" · ");
  const verbs = ACTS[update.state] || [];
  return h("li", { key: update.id },
    deviceLink(update.device),
    ` ${version(update.from_version)} → ${version(update.to_version)} · ${t(`state.${update.state}`)}${ended ? `, ${ended}` : ""}`,
    h("p", { class: update.error ? "bad" : "dim" }, plain(update.error?.detail || update.sentence || t(`state.${update.state}.more`))),
    MOVING.has(update.state) && h("progress", { max: "100", value: percent, "aria-label": t("update.progress", { name: nameOf(update.device) }) }),
    speed && h("p", { class: "dim" }, speed),
    verbs.length > 0 && h("div", { class: "acts" }, buttons(update, verbs)));
}
