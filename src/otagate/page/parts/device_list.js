// The list of devices: searched, filtered, and chosen from, for one order to many.

import { ago, dots, inFull, number, plain, t } from "../i18n.js";
import { filter, here, to } from "../router.js";
import { changed, FINAL, hub, may, updateOf } from "../store.js";
import { deviceLink, heardHow, power } from "./device.js";
import { h, memo } from "./dom.js";
import { icon, kindOf } from "./icons.js";
import { askToUpdate } from "./order.js";
import { askToRollOut } from "./rollout_order.js";
import { holdUp } from "./update.js";

const STATUSES = ["available", "updating", "waiting", "updated", "failed", "none"];
const PARTS = 4; // components that a line has room for
const chosen = new Set();
const row = memo();

export function deviceList() {
  const { q = "", status = "" } = here().query;
  const wanted = q.trim().toLowerCase();
  const all = [...hub.devices.values()];
  const found = all.filter((each) => (!status || each.update_status === status) && says(each).includes(wanted));
  for (const id of chosen) if (!hub.devices.has(id)) chosen.delete(id);
  const by = (name) => (event) => {
    filter({ [name]: event.target.value });
    changed();
  };
  return h("section", { key: "devices" }, h("h2", {}, t("overview.devices")),
    h("div", { class: "filters", role: "search" },
      h("input", { type: "search", "aria-label": t("devices.search"), placeholder: t("devices.search"), value: q, oninput: by("q") }),
      h("select", { "aria-label": t("devices.status"), value: status, onchange: by("status") },
        h("option", { value: "" }, t("devices.all")), STATUSES.map((each) => h("option", { key: each, value: each }, t(`status.${each}`))))),
    found.length > 0 && may("operate") && chooseAll(found),
    h("p", { key: "found", class: "dim", role: "status" }, q || status ? t("devices.found", { n: found.length, all: all.length }) : ""),
    found.length ? h("ul", { key: "list" }, found.map(deviceRow)) : h("p", { class: "dim" }, t(all.length ? "devices.none" : "devices.empty")),
    chosen.size > 0 && selection());
}

function says(device) {
  return [device.name, device.id, device.manufacturer, device.model, device.room, ...device.groups].filter(Boolean).join("\n").toLowerCase();
}

function choose(devices, yes) {
  for (const { id } of devices) yes ? chosen.add(id) : chosen.delete(id);
  changed();
}

function chooseAll(found) {
  const count = found.filter((each) => chosen.has(each.id)).length;
  return h("label", { key: "all", class: "choose" },
    h("input", {
      type: "checkbox", checked: count === found.length, indeterminate: count > 0 && count < found.length,
      onchange: (event) => choose(found, event.target.checked),
    }),
    t("devices.select.all", { n: found.length }));
}

function deviceRow(device) {
  const update = updateOf(device);
  const checked = chosen.has(device.id);
  return row(device.id, [device, update, checked, ago(device.last_seen)], () => {
    const heard = [power(device), t(device.online ? "online" : "offline"), heardHow(device.link), t("seen", { time: ago(device.last_seen) })];
    const why = update && (device.update_status === "failed" ? update.error?.detail : holdUp(update)?.why);
    return h("li", { key: device.id, class: "choice" },
      may("operate") && h("input", {
        type: "checkbox", checked, "aria-label": t("devices.select", { name: device.name || device.id }),
        onchange: (event) => choose([device], event.target.checked),
      }),
      h("div", {},
        h("div", { class: "head" }, h("span", {}, icon(kindOf(device)), deviceLink(device.id), made(device)), chip(device, update)),
        h("p", { class: "dim" }, dots(device.components.slice(0, PARTS).map((each, i, all) => runs(each, all.length > 1)))),
        h("p", { class: "dim" }, dots(heard)),
        why && why !== t(`reason.${update.reason}`) && h("p", { class: device.update_status === "failed" ? "bad" : "dim" }, plain(why))));
  });
}

// Maker and model, where they say more than the name.
function made({ name, manufacturer, model }) {
  const told = [manufacturer, model].filter((each) => each && each !== name).join(" ");
  return told && h("span", { class: "dim made" }, h("bdi", {}, plain(told, 80)));
}

// What a component runs, and the newest there is for it: as people write it, and as it is.
function runs({ id, version: given, available }, several) {
  const newest = available && available.version !== null && available.version !== given;
  const versions = newest ? t("devices.newest", { runs: inFull(given), newest: inFull(available.version) }) : inFull(given);
  return several ? t("devices.component", { id, versions }) : versions;
}

// What its firmware is doing, and why it is not; where an update tells more, the way there.
function chip(device, update) {
  const props = { class: `chip ${device.update_status}` };
  const running = update && !FINAL.has(update.state);
  const percent = running && update.state === "transferring" && t("devices.percent", { n: number(update.progress.percent) });
  const status = t(`status.${device.update_status}`);
  const words = percent || (running && update.reason ? t(`reason.${update.reason}`) : status);
  const tells = running || (update && device.update_status === "failed");
  return tells ? h("a", { ...props, href: to("update", update.id) }, words) : h("span", props, words);
}

function selection() {
  const devices = [...chosen];
  const clear = () => choose([...hub.devices.values()], false);
  return h("div", { key: "selection", class: "bar", role: "region", "aria-label": t("devices.selection") },
    h("p", { role: "status" }, t("devices.selected", { n: devices.length })),
    h("div", { class: "acts" },
      h("button", { type: "button", class: "sure", onclick: () => askToUpdate({ devices }, clear) }, t("device.update")),
      h("button", { type: "button", onclick: () => askToRollOut({ devices }, clear) }, t("devices.rollout")),
      h("button", { type: "button", onclick: clear }, t("devices.clear"))));
}
