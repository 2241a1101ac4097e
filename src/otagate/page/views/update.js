// One update: how far it is and how fast, what holds it up and what helps, what was ordered, and everything that happened to it.

import { ago, dots, has, list, number, plain, raw, size, t, when } from "../i18n.js";
import { order } from "../orders.js";
import { behaviour } from "../parts/behaviour.js";
import { curve } from "../parts/curve.js";
import { deviceLink } from "../parts/device.js";
import { h } from "../parts/dom.js";
import { facts, kind, time } from "../parts/facts.js";
import { icon } from "../parts/icons.js";
import { unread } from "../parts/unread.js";
import { actsOf, bar, change, holdUp, pace } from "../parts/update.js";
import { reading } from "../readings.js";
import { to } from "../router.js";
import { FINAL, hub, may, nameOf, updates } from "../store.js";

const WAITING = new Set(["planned", "queued"]);
const PICTURES = { planned: "clock", queued: "clock", succeeded: "check", failed: "alert", cancelled: "stop" };

export function view(id) {
  const path = `updates/${encodeURIComponent(id)}`;
  const known = hub.updates.get(id);
  const older = known ? { data: known, problem: "" } : reading(path);
  const update = older.data;
  if (!update) return { title: older.problem ? t("update.gone") : t("loading"), content: older.problem && unread(older) };
  const log = reading(`${path}/log?limit=500`, { made_of: [update.state, update.reason] });
  const recorded = FINAL.has(update.state) ? {} : reading(`${path}/behaviour`, { made_of: update.state });
  return { title: t("update.title", { name: nameOf(update.device) }), content: [
    h("p", { key: "device", class: "dim" }, deviceLink(update.device), ` ${change(update)}`),
    now(update), behaviour(update, recorded), ordered(update), together(update), happened(log),
  ] };
}

function now(update) {
  const { bytes_sent, bytes_total, percent } = update.progress;
  const held = holdUp(update);
  const mend = `error.${update.error?.type.split("/").pop()}`;
  const help = has(mend) ? t(mend) : held?.help;
  const moves = !FINAL.has(update.state) && update.state !== "planned" && update.state !== "queued";
  const told = dots([bytes_total && t("update.sent", { sent: size(bytes_sent), total: size(bytes_total) }), pace(update)]);
  const state = dots([t(`state.${update.state}`), moves && bytes_total && t("percent", { n: number(percent) })]);
  const follows = (each) => each.device === update.device && each.component === update.component && each.id > update.id;
  const newer = FINAL.has(update.state) && updates().find(follows);
  return h("section", { key: "now", class: "card stack" },
    h("p", { class: update.error ? "bad big" : "big" }, PICTURES[update.state] && icon(PICTURES[update.state]),
      state, update.finished ? `, ${ago(update.finished)}` : ""),
    h("p", {}, plain(update.error?.detail || held?.why || t(`state.${update.state}.more`), 1000)),
    help && h("p", { key: "help", class: "help" }, t("help", { what: help })),
    update.error?.title && h("p", { key: "error", class: "dim" }, plain(update.error.title)),
    bar(update),
    moves && h("p", { key: "told", class: "dim" }, told),
    update.state === "transferring" && curve(hub.rates.get(update.id) || []),
    update.foreign && h("p", { key: "foreign", class: "dim" }, t("update.foreign")),
    newer && h("p", { key: "newer" }, h("a", { href: to("update", newer.id) }, t("update.newer", { state: t(`state.${newer.state}`) }))),
    !newer && actsOf(update));
}

function ordered(update) {
  const overruled = update.force ? t("update.force") : list(update.override.map((each) => t(`reason.${each}`)));
  return h("section", { key: "ordered" }, h("h2", {}, t("update.facts")), h("div", { class: "card" }, facts([
    [t("update.when"), h("span", {}, time(update.created), ` ${t("update.by", { actor: update.actor })}`)],
    [t("update.started"), update.started && time(update.started)],
    [t("update.finished"), update.finished && time(update.finished)],
    [t("update.versions"), [update.from_version, update.to_version].map(raw).filter(Boolean).join(" → ")],
    [t("order.priority"), priority(update)],
    [t("update.component"), update.component],
    [t("update.source"), update.source],
    [t("update.attempts"), update.attempts > 1 ? update.attempts : ""],
    [t("update.approved"), update.approved_by],
    [t("update.overruled"), overruled],
    [t("update.because"), update.because],
    [t("update.expires"), update.state === "planned" && when(update.expires)],
    [t("update.not-before"), update.state === "queued" && when(update.not_before)],
    [t("update.activate"), activation(update)],
    [t("update.rollout"), update.rollout && h("a", { href: to("rollouts", update.rollout) }, wave(update))],
    [t("update.image"), update.image],
  ])));
}

// It counts until it has begun.
function priority(update) {
  if (!WAITING.has(update.state) || !may("operate")) return update.priority === "normal" ? "" : t(`priority.${update.priority}`);
  const change = (event) => order("PATCH", `updates/${encodeURIComponent(update.id)}`, { priority: event.target.value });
  return h("select", { "aria-label": t("order.priority"), value: update.priority, onchange: change },
    ["normal", "high", "low"].map((each) => h("option", { key: each, value: each }, t(`priority.${each}`))));
}

function activation({ activate }) {
  return activate === "now" ? "" : ["held", "window"].includes(activate) ? t(`activate.${activate}`) : when(activate);
}

function wave({ rollout, wave: number }) {
  const name = plain(hub.rollouts.find((each) => each.id === rollout)?.name || rollout);
  return number ? `${name}, ${t("rollout.wave", { n: number })}` : name;
}

// The other steps of its job: updates that belong together run one after the other.
function together({ id, job, steps }) {
  const rows = steps > 1 ? updates().filter((each) => each.job === job).sort((a, b) => a.step - b.step) : [];
  const part = ({ component }) => rows.some((each) => each.component !== component) && t("device.component", { id: component });
  return rows.length > 1 && h("section", { key: "job" }, h("h2", {}, t("update.job")), h("ol", { class: "lines" }, rows.map((each) =>
    h("li", { key: each.id },
      each.id === id ? h("strong", {}, t("update.this")) : h("a", { href: to("update", each.id) }, t("update.step", { n: each.step })),
      ` ${dots([part(each), change(each), t(`state.${each.state}`)])}`))));
}

function happened(log) {
  return h("section", { key: "log" }, h("h2", {}, t("update.log")), unread(log),
    log.data && (log.data.items.length ? h("ol", { class: "lines" }, log.data.items.map(fact)) : h("p", { class: "dim" }, t("update.log.none"))));
}

function fact({ number: key, at, kind: word, actor, data }) {
  return h("li", { key }, time(at), " ", h("strong", {}, kind(word)), actor === "otagate" ? "" : ` ${t("update.by", { actor })}`,
    data.detail && h("p", { class: "dim" }, plain(data.detail)));
}
