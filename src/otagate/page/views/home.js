// The first screen: what the hub is doing, who needs a person, what runs, and every device.

import { about, plain, t } from "../i18n.js";
import { halt, order } from "../orders.js";
import { deviceList } from "../parts/device_list.js";
import { ask } from "../parts/dialog.js";
import { h } from "../parts/dom.js";
import { again, notifiers } from "../parts/notifiers.js";
import { updateRow } from "../parts/update.js";
import { changed, FINAL, hub, may, updates } from "../store.js";

const DAY = 86400000;
const FIRST = 20; // updates that are shown at first; the devices stand below them
let all_shown = false;
const UNSURE = new Set(["fetching", "offering"]); // nobody knows yet how fast it will go
const WRONG_RADIO = new Set(["retrying", "wrong_network", "in_use"]);

export function view() {
  const unfinished = updates().filter((each) => !FINAL.has(each.state));
  const asking = unfinished.filter((each) => each.state === "planned" || each.state === "staged");
  const waiting = unfinished.filter((each) => each.state === "queued");
  const running = unfinished.filter((each) => !asking.includes(each) && !waiting.includes(each));
  const needs = [...troubles(), ...[...lateFailures(), ...asking].map(updateRow)];
  const on_air = [...running, ...waiting];
  return { title: summary(running, waiting, needs), content: [
    waiting.length > 0 && h("p", { key: "why", class: "dim" }, t("sum.why", { reasons: reasons(waiting) })),
    may("operate") && haltButton(),
    part(t("overview.needs"), needs, t("overview.nothing")),
    part(t("overview.running"), (all_shown ? on_air : on_air.slice(0, FIRST)).map(updateRow), t("overview.idle"), on_air.length - FIRST),
    deviceList(),
  ] };
}

function summary(running, waiting, needs) {
  const unsure = running.some((each) => UNSURE.has(each.state));
  const left = unsure ? 0 : Math.max(0, ...running.map((each) => each.progress.eta_seconds ?? 0));
  const told = [
    running.length && t(left ? "sum.updating" : "sum.updating.unsure", { n: running.length, time: about(left) }),
    waiting.length && t("sum.waiting", { n: waiting.length }),
    needs.length && t("sum.needs", { n: needs.length }),
  ];
  if (told.some(Boolean)) return told.filter(Boolean).join("; ");
  const newer = [...hub.devices.values()].filter((each) => each.update_status === "available").length;
  return newer ? t("sum.available", { n: newer }) : t(hub.devices.size ? "sum.quiet" : "sum.empty");
}

// For what how many wait, the most first.
function reasons(waiting) {
  const counts = new Map();
  for (const { reason } of waiting) counts.set(reason || "radio_busy", (counts.get(reason || "radio_busy") || 0) + 1);
  const most = [...counts].sort((a, b) => b[1] - a[1]);
  return most.map(([reason, n]) => t("sum.reason", { what: t(`reason.${reason}`), n })).join(", ");
}

// What failed, or cost its device settings, since yesterday and was not tried again since.
function lateFailures() {
  const newer = new Set();
  return updates().filter((each) => {
    const subject = `${each.device} ${each.component}`;
    const latest = !newer.has(subject);
    newer.add(subject);
    const bad = each.state === "failed" || each.behaviour?.lost.length > 0;
    return latest && bad && Date.now() - new Date(each.finished || each.created) < DAY;
  });
}

function troubles() {
  const radios = hub.radios.filter((each) => WRONG_RADIO.has(each.state)).map((each) => trouble("radios", each, "reattach"));
  const sources = hub.sources.filter((each) => each.state !== "ok" && each.state !== "offline").map((each) => trouble("sources", each, "refresh"));
  const unheard = (notifiers().data?.items || []).filter((each) => each.state === "failing").map((each) => trouble("notifiers", each, "test"));
  return [...radios, ...sources, ...unheard];
}

function trouble(noun, each, verb) {
  const retry = async () => {
    await order("POST", `${noun}/${encodeURIComponent(each.name)}/${verb}`, noun === "sources" ? {} : undefined);
    if (noun === "notifiers") again();
    changed();
  };
  return h("li", { key: `${noun} ${each.name}` },
    h("span", { class: "name" }, t(`trouble.${noun}`, { name: each.name })),
    h("p", { class: "bad" }, plain(each.sentence)),
    may(verb === "reattach" ? "admin" : "operate") && h("div", { class: "acts" },
      h("button", { type: "button", "aria-label": t("act.of", { act: t("act.retry"), name: each.name }), onclick: retry }, t("act.retry"))));
}

function haltButton() {
  const { halted } = hub.halt;
  const [title, more, sure] = halted ? ["lift.ask", "lift.more", "lift.sure"] : ["halt.ask", "halt.more", "halt.sure"];
  const go = (close) => () => {
    close();
    halt(!halted);
  };
  const open = () => ask(t(title), (again, close) => ({ body: t(more), sure: t(sure), go: go(close) }));
  return h("p", { key: "halt" }, h("button", { type: "button", class: "halt", onclick: open }, t(halted ? "halt.lift" : "halt")));
}

function part(title, rows, empty, more = 0) {
  const show = () => {
    all_shown = true;
    changed();
  };
  return h("section", { key: title }, h("h2", {}, title), rows.length ? h("ul", {}, rows) : h("p", { class: "dim" }, empty),
    more > 0 && !all_shown && h("p", {}, h("button", { type: "button", onclick: show }, t("show-more", { n: more }))));
}
