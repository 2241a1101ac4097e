// One device: what it runs, what every source offers for it and whether that would be taken, and what was updated.

import { act } from "../api.js";
import { ago, inFull, plain, raw, size, t, version } from "../i18n.js";
import { orders } from "../orders.js";
import { heardHow, power } from "../parts/device.js";
import { amend, askToChange } from "../parts/device_change.js";
import { attempts } from "../parts/dialog.js";
import { h } from "../parts/dom.js";
import { facts } from "../parts/facts.js";
import { icon, kindOf } from "../parts/icons.js";
import { askToUpdate } from "../parts/order.js";
import { planOf } from "../parts/plan.js";
import { unread } from "../parts/unread.js";
import { updateRow } from "../parts/update.js";
import { reading } from "../readings.js";
import { changed, hub, may, nameOf, updates } from "../store.js";

const HISTORY = 20;

export function view(id) {
  const found = hub.devices.get(id);
  const back = h("p", { key: "back" }, h("a", { href: "#/" }, t("device.back")));
  if (!found) return { title: t("device.gone"), content: [back] };
  const { plan, offers, history } = look(found);
  const rows = [back, about(found), firmware(found), next(plan), releases(found, offers), past(id, history.data?.items || [])];
  return { title: plain(nameOf(id), 80), content: rows };
}

// What the store does not keep, read again once what it depends on has changed.
function look(found) {
  const options = { made_of: [found.components, found.pin, found.skipped, found.policy, found.update_status] };
  const path = encodeURIComponent(found.id);
  return {
    plan: reading(`devices/${path}/plan`, options),
    offers: reading(`devices/${path}/releases`, options),
    history: reading(`updates?limit=${HISTORY}&device=${path}`, options),
  };
}

function about(found) {
  return h("div", { key: "about", class: "card" }, icon(kindOf(found)), facts([
    [t("device.status"), t(`status.${found.update_status}`)],
    [t("device.model"), [found.manufacturer, found.model].filter(Boolean).join(" ")],
    [t("device.room"), found.room],
    [t("device.power"), power(found)],
    [t("device.link"), `${t(found.online ? "online" : "offline")} · ${t("seen", { time: ago(found.last_seen) })}`],
    [t("device.heard"), heardHow(found.link)],
    [t("device.radio"), found.radio],
    [t("device.groups.are"), found.groups.join(", ")],
    [t("device.pin"), found.pin !== null && version(found.pin)],
    [t("device.skipped"), found.skipped.map(version).join(", ")],
    [t("device.policy"), found.policy?.default && t(`device.policy.${found.policy.default}`)],
    [t("device.id"), found.id],
  ]));
}

const checks = new Map(); // device → { attempts, told }

function check(found) {
  if (!checks.has(found.id)) checks.set(found.id, Object.assign(attempts(), { told: "" }));
  const tried = checks.get(found.id);
  const go = () => {
    tried.told = t("device.checking");
    changed();
    tried.run(async () => {
      const { check: how, ...device } = await act("POST", `devices/${encodeURIComponent(found.id)}/check`);
      hub.devices.set(device.id, device);
      tried.told = t(how === "done" ? "device.checked" : "device.pending");
    }, changed);
  };
  return [
    h("button", { key: "check", type: "button", onclick: go }, t("device.check")),
    h("button", { key: "change", type: "button", onclick: () => askToChange(found) }, t("device.change")),
    h("p", { key: "checked", role: "status", class: tried.problem ? "bad" : "dim" }, plain(tried.problem || tried.told)),
  ];
}

function firmware(found) {
  const order = () => askToUpdate({ devices: [found.id] });
  return h("section", { key: "firmware" }, h("h2", {}, t("device.components")),
    h("ul", {}, found.components.map((each) => h("li", { key: each.id },
      h("span", { class: "name" }, `${version(each.version)} `), h("span", { class: "dim" }, raw(each.version)),
      h("p", { class: "dim" }, t("device.component", { id: each.id }),
        each.available ? ` · ${t("latest")} ${inFull(each.available.version)}` : "")))),
    may("operate") && h("div", { class: "acts" },
      h("button", { key: "update", type: "button", class: "sure", onclick: order }, t("device.update")), check(found)));
}

function next(plan) {
  return h("section", { key: "next" }, h("h2", {}, t("device.next")), unread(plan),
    plan.data && h("ul", {}, plan.data.components.map((each) => h("li", { key: each.component },
      plan.data.components.length > 1 && h("p", { class: "dim" }, t("device.component", { id: each.component })), planOf(each)))));
}

function releases(found, offers) {
  return h("section", { key: "releases" }, h("h2", {}, t("device.releases")),
    unread(offers),
    offers.data && (offers.data.items.length ? h("ul", {}, offers.data.items.map((each) => release(found, each)))
      : h("p", { class: "dim" }, t("device.releases.none"))));
}

function release(found, { component, release: one, verdict }) {
  const facts = [t("release.from", { source: one.source }), size(one.size), one.channel === "stable" ? "" : one.channel, one.region];
  const wanted = { devices: [found.id], component, version: one.version, ...(one.downgrade ? { allow_downgrade: true } : {}) };
  return h("li", {},
    h("span", { class: "name" }, `${version(one.version)} `), h("span", { class: "dim" }, raw(one.version)),
    h("p", { class: "dim" }, [t("device.component", { id: component }), ...facts].filter(Boolean).map((each) => plain(each, 80)).join(" · ")),
    h("p", { class: verdict.decision === "refuse" ? "bad" : "" }, `${t(`verdict.${verdict.decision}`)}: ${plain(verdict.sentence)}`),
    one.changelog && h("details", {}, h("summary", {}, t("release.notes")), h("p", { class: "notes" }, plain(one.changelog, 8000))),
    h("div", { class: "acts" },
      takeable(one, verdict) && h("button", { key: "take", type: "button", onclick: () => askToUpdate(wanted) },
        t(one.downgrade ? "release.back" : "release.take", { version: version(one.version) })),
      one.version !== null && !one.downgrade && may("operate") && skip(found, one.version)));
}

// A version that is skipped is taken by an order alone; the next one is welcome again.
function skip(device, given) {
  const skipped = device.skipped.includes(given);
  const then = skipped ? device.skipped.filter((each) => each !== given) : [...device.skipped, given];
  const go = () => amend(device, { skipped: then }).catch((error) => {
    orders.problem = t("act.failed", { why: error.message });
    changed();
  });
  return h("button", { key: "skip", type: "button", onclick: go },
    t(skipped ? "release.unskip" : "release.skip", { version: version(given) }));
}

// An older one is refused until somebody wishes to go back.
function takeable({ version: given, downgrade }, { decision }) {
  return given !== null && (downgrade ? may("downgrade") && may("operate") : decision !== "refuse" && may("operate"));
}

function past(id, read) {
  const known = new Map(read.map((each) => [each.id, each]));
  for (const each of updates()) if (each.device === id) known.set(each.id, each);
  const rows = [...known.values()].sort((a, b) => (a.id < b.id ? 1 : -1)).map(updateRow);
  return h("section", { key: "history" }, h("h2", {}, t("device.history")),
    rows.length ? h("ul", {}, rows) : h("p", { class: "dim" }, t("device.history.none")));
}
