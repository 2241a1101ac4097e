// The first screen: what the hub is doing, who needs a person, what runs, and every device.

import { ago, duration, plain, raw, t, version } from "../i18n.js";
import { halt, order } from "../orders.js";
import { deviceLink, power } from "../parts/device.js";
import { ask } from "../parts/dialog.js";
import { h } from "../parts/dom.js";
import { icon, kindOf } from "../parts/icons.js";
import { updateRow } from "../parts/update.js";
import { filter, here } from "../router.js";
import { changed, FINAL, hub, updates } from "../store.js";

const DAY = 86400000;
const STATUSES = ["available", "updating", "waiting", "updated", "failed", "none"];
const WRONG_RADIO = new Set(["retrying", "wrong_network", "in_use"]);

export function view() {
  const unfinished = updates().filter((each) => !FINAL.has(each.state));
  const asking = unfinished.filter((each) => each.state === "planned" || each.state === "staged");
  const waiting = unfinished.filter((each) => each.state === "queued");
  const running = unfinished.filter((each) => !asking.includes(each) && !waiting.includes(each));
  const needs = [...troubles(), ...[...lateFailures(), ...asking].map(updateRow)];
  const on_air = [...running, ...waiting].map(updateRow);
  return { title: summary(running, waiting, needs), content: [
    haltButton(),
    part(t("overview.needs"), needs, t("overview.nothing")),
    part(t("overview.running"), on_air, t("overview.idle")),
    deviceList(),
  ] };
}

function summary(running, waiting, needs) {
  const left = Math.max(0, ...running.map((each) => each.progress.eta_seconds ?? 0));
  const told = [
    running.length && t(left ? "sum.updating" : "sum.updating.unsure", { n: running.length, time: duration(left) }),
    waiting.length && t("sum.waiting", { n: waiting.length }),
    needs.length && t("sum.needs", { n: needs.length }),
  ];
  return told.filter(Boolean).join("; ") || t(hub.devices.size ? "sum.quiet" : "sum.empty");
}

// What failed since yesterday and was not tried again since.
function lateFailures() {
  const newer = new Set();
  return updates().filter((each) => {
    const subject = `${each.device} ${each.component}`;
    const latest = !newer.has(subject);
    newer.add(subject);
    return latest && each.state === "failed" && Date.now() - new Date(each.finished || each.created) < DAY;
  });
}

function troubles() {
  const radios = hub.radios.filter((each) => WRONG_RADIO.has(each.state)).map((each) => trouble("radios", each, "reattach"));
  return [...radios, ...hub.sources.filter((each) => each.state !== "ok").map((each) => trouble("sources", each, "refresh"))];
}

function trouble(noun, each, verb) {
  const retry = () => order("POST", `${noun}/${encodeURIComponent(each.name)}/${verb}`, noun === "sources" ? {} : undefined);
  return h("li", { key: `${noun} ${each.name}` },
    h("span", { class: "name" }, t(`trouble.${noun}`, { name: each.name })),
    h("p", { class: "bad" }, plain(each.sentence)),
    h("div", { class: "acts" },
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

function part(title, rows, empty) {
  return h("section", { key: title }, h("h2", {}, title), rows.length ? h("ul", {}, rows) : h("p", { class: "dim" }, empty));
}

function deviceList() {
  const { q = "", status = "" } = here().query;
  const wanted = q.trim().toLowerCase();
  const all = [...hub.devices.values()];
  const found = all.filter((each) => (!status || each.update_status === status) && says(each).includes(wanted));
  const by = (name) => (event) => {
    filter({ [name]: event.target.value });
    changed();
  };
  return h("section", { key: "devices" }, h("h2", {}, t("overview.devices")),
    h("div", { class: "filters", role: "search" },
      h("input", { type: "search", "aria-label": t("devices.search"), placeholder: t("devices.search"), value: q, oninput: by("q") }),
      h("select", { "aria-label": t("devices.status"), value: status, onchange: by("status") },
        h("option", { value: "" }, t("devices.all")), STATUSES.map((each) => h("option", { key: each, value: each }, t(`status.${each}`))))),
    h("p", { class: "dim", role: "status" }, q || status ? t("devices.found", { n: found.length, all: all.length }) : ""),
    found.length ? h("ul", {}, found.map(deviceRow)) : h("p", { class: "dim" }, t(all.length ? "devices.none" : "devices.empty")));
}

function says(device) {
  return [device.name, device.id, device.manufacturer, device.model, device.room, ...device.groups].filter(Boolean).join("\n").toLowerCase();
}

function deviceRow(device) {
  const component = device.components[0];
  const told = [
    component && `${version(component.version)} ${raw(component.version)}`,
    component?.available && `${t("latest")} ${version(component.available.version)}`,
    power(device),
    t(device.online ? "online" : "offline"),
    t("seen", { time: ago(device.last_seen) }),
  ];
  return h("li", { key: device.id }, icon(kindOf(device)),
    deviceLink(device.id),
    h("span", { class: `chip ${device.update_status}` }, t(`status.${device.update_status}`)),
    h("p", { class: "dim" }, told.filter(Boolean).join(" · ")));
}
