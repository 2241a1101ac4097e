// The radios: how each fares and what helps, how busy it is, who is heard badly through it, and a copy of its network.

import { act } from "../api.js";
import { ago, duration, number, plain, rate, size, t } from "../i18n.js";
import { order, orders, say } from "../orders.js";
import { deviceLink, heardHow } from "../parts/device.js";
import { ask } from "../parts/dialog.js";
import { h } from "../parts/dom.js";
import { facts } from "../parts/facts.js";
import { FINAL, hub, may, nameOf, reload } from "../store.js";

const BEST = 255; // of a link's quality (IEEE 802.15.4, LQI)
const FAINT = -100; // dBm: what a receiver hardly hears, and what is as good as it gets
const LOUD = -40;
const SHOWN = 8;
const OPEN = 60; // seconds for devices to join
const FINE = new Set(["up", "lent"]);
const AGAIN = new Set(["retrying", "wrong_network", "in_use", "lent"]);

export function view() {
  return { title: t("nav.radios"), content: [
    hub.radios.length ? hub.radios.map(radio) : h("p", { key: "none", class: "dim" }, t("radios.none")),
  ] };
}

function radio(each) {
  const { name, state, load, paused } = each;
  const moving = [...hub.updates.values()].filter((update) => update.radio === name && !FINAL.has(update.state));
  const speed = moving.reduce((sum, update) => sum + (update.progress.bytes_per_second || 0), 0);
  return h("section", { key: name }, h("h2", {}, h("bdi", {}, plain(name, 80))),
    h("div", { class: "card tall" },
      h("p", { class: FINE.has(state) ? "" : "bad" }, h("span", { class: "name" }, t(`radio.state.${state}`)), ` · ${plain(each.sentence)}`),
      state !== "up" && state !== "starting" && h("p", {}, t("help", { what: t(`radio.help.${state}`) })),
      paused && h("p", { class: "alert" },
        t("radio.paused", { actor: paused.actor, time: ago(paused.since) }), paused.because && ` ${plain(paused.because)}`),
      each.borrowed_from && h("p", { class: "alert" }, t("radio.borrowed", { owner: plain(each.borrowed_from, 64) })),
      facts([
        [t("radio.type"), each.type],
        [t("radio.devices"), number(each.devices)],
        [t("radio.transfers"), t("radio.transfers.of", { n: each.transfers, most: each.parallel })],
        [t("radio.rate"), speed > 0 && rate(speed)],
        [t("radio.load"), load && t("radio.load.of", { n: load.used, time: duration(load.seconds) })],
        [t("radio.refused"), load?.refused > 0 && t("percent", { n: load.refused })],
      ]),
      h("div", { class: "acts" }, acts(each))),
    links(name));
}

function acts({ name, state, paused }) {
  const path = `radios/${encodeURIComponent(name)}`;
  const turn = (verb, body) => order("POST", `${path}/${verb}`, body).then(() => reload("radios").catch(() => {}));
  const label = (verb) => ({ key: verb, type: "button", "aria-label": t("act.of", { act: t(verb, { n: OPEN }), name }) });
  const open = () => turn("permit-join", { seconds: OPEN }).then(() => orders.problem || say(t("radio.joins", { n: OPEN })));
  const off = state !== "up";
  return [
    may("admin") && AGAIN.has(state) && h("button", { ...label("act.retry"), onclick: () => turn("reattach") }, t("act.retry")),
    may("operate") && paused && h("button", { ...label("act.resume"), onclick: () => turn("resume") }, t("act.resume")),
    may("operate") && !paused && h("button", { ...label("act.pause"), onclick: () => turn("pause", {}) }, t("act.pause")),
    may("admin") && h("button", { ...label("radio.join"), disabled: off, onclick: open }, t("radio.join", { n: OPEN })),
    may("admin") && h("button", { ...label("radio.backup"), disabled: off, onclick: () => askToCopy(name, path) }, t("radio.backup")),
  ];
}

// --- who is heard how well --------------------------------------------------------------------------------------------------------------------

function links(name) {
  const heard = [...hub.devices.values()].filter((each) => each.radio === name && strength(each.link) !== null);
  if (!heard.length) return null;
  const weakest = heard.sort((a, b) => strength(a.link) - strength(b.link) || (a.id < b.id ? -1 : 1));
  return h("div", { key: "links", class: "links" }, h("h3", {}, t("links")), h("p", { class: "dim" }, t("links.more")),
    h("ul", {}, weakest.slice(0, SHOWN).map(link)),
    weakest.length > SHOWN && h("details", {}, h("summary", {}, t("more", { n: weakest.length - SHOWN })),
      h("ul", {}, weakest.slice(SHOWN).map(link))));
}

// From 0 to 1: by the quality of the last hop, or by the signal where only that is known.
function strength(heard) {
  if (heard?.lqi !== null && heard?.lqi !== undefined) return heard.lqi / BEST;
  if (heard?.rssi === null || heard?.rssi === undefined) return null;
  return Math.min(1, Math.max(0, (heard.rssi - FAINT) / (LOUD - FAINT)));
}

function link(device) {
  const label = t("link.of", { name: nameOf(device.id) });
  return h("li", { key: device.id, class: "link" }, deviceLink(device.id), h("span", { class: "dim" }, heardHow(device.link)),
    h("meter", { min: "0", max: "1", low: "0.25", optimum: "1", value: String(strength(device.link)), "aria-label": label }));
}

// --- a copy of the network --------------------------------------------------------------------------------------------------------------------

function askToCopy(name, path) {
  const state = { made: null, problem: "", busy: false };
  ask(t("backup.ask", { name }), (again) => {
    const go = async () => {
      if (state.busy) return;
      Object.assign(state, { busy: true, problem: "" });
      again();
      try {
        state.made = await act("POST", `${path}/backup`);
      } catch (error) {
        state.problem = t("act.failed", { why: error.message });
      }
      state.busy = false;
      again();
    };
    return { body: copied(state), sure: state.made || state.busy ? "" : t("radio.backup"), go };
  });
}

function copied({ made, problem, busy }) {
  if (busy) return h("p", {}, t("backup.busy"));
  if (!made) return [problem && h("p", { class: "bad" }, plain(problem)), h("p", {}, t("backup.more"))];
  return [h("p", {}, t("backup.made")), facts([
    [t("backup.path"), h("code", {}, plain(made.path))],
    [t("radio.devices"), number(made.devices)],
    [t("image.size"), size(made.bytes)],
    [t("image.sha256"), h("code", {}, plain(made.sha256))],
  ])];
}
