// The radios: how each fares and what helps, how busy it is, who is heard badly through it, and a copy of its network.

import { act } from "../api.js";
import { number, plain, rate, size, t } from "../i18n.js";
import { order } from "../orders.js";
import { deviceLink } from "../parts/device.js";
import { ask } from "../parts/dialog.js";
import { h } from "../parts/dom.js";
import { facts } from "../parts/facts.js";
import { FINAL, hub, may, nameOf } from "../store.js";

const BEST = 255; // of a link's quality (IEEE 802.15.4, LQI)
const WEAK = 60;
const SHOWN = 8;
const AGAIN = new Set(["retrying", "wrong_network", "in_use"]);

export function view() {
  return { title: t("nav.radios"), content: [
    hub.radios.length ? hub.radios.map(radio) : h("p", { key: "none", class: "dim" }, t("radios.none")),
  ] };
}

function radio(each) {
  const { name, state } = each;
  const path = `radios/${encodeURIComponent(name)}`;
  const label = (verb) => ({ type: "button", "aria-label": t("act.of", { act: t(verb), name }) });
  const moving = [...hub.updates.values()].filter((update) => update.radio === name && !FINAL.has(update.state));
  const speed = moving.reduce((sum, update) => sum + (update.progress.bytes_per_second || 0), 0);
  return h("section", { key: name }, h("h2", {}, h("bdi", {}, plain(name, 80))),
    h("div", { class: "card tall" },
      h("p", { class: state === "up" ? "" : "bad" }, h("span", { class: "name" }, t(`radio.state.${state}`)), ` · ${plain(each.sentence)}`),
      state !== "up" && state !== "starting" && h("p", {}, t("help", { what: t(`radio.help.${state}`) })),
      facts([
        [t("radio.type"), each.type],
        [t("radio.channel"), each.channel ?? null],
        [t("radio.devices"), number(each.devices)],
        [t("radio.transfers"), t("radio.transfers.of", { n: each.transfers, most: each.parallel })],
        [t("radio.rate"), speed > 0 && rate(speed)],
      ]),
      may("admin") && h("div", { class: "acts" },
        AGAIN.has(state) && h("button", { key: "again", ...label("act.retry"), onclick: () => order("POST", `${path}/reattach`) }, t("act.retry")),
        h("button", { key: "copy", ...label("radio.backup"), disabled: state !== "up", onclick: () => askToCopy(name, path) }, t("radio.backup")))),
    links(name));
}

// --- who is heard how well --------------------------------------------------------------------------------------------------------------------

function links(name) {
  const heard = [...hub.devices.values()].filter((each) => each.radio === name && (each.link_quality ?? null) !== null);
  if (!heard.length) return null;
  const weakest = heard.sort((a, b) => a.link_quality - b.link_quality || (a.id < b.id ? -1 : 1));
  return h("div", { key: "links" }, h("h3", {}, t("links")), h("p", { class: "dim" }, t("links.more")),
    h("ul", {}, weakest.slice(0, SHOWN).map(link)),
    weakest.length > SHOWN && h("details", {}, h("summary", {}, t("links.rest", { n: weakest.length - SHOWN })), h("ul", {}, weakest.slice(SHOWN).map(link))));
}

function link(device) {
  const { id, link_quality: quality } = device;
  return h("li", { key: id, class: "link" }, deviceLink(id),
    h("span", { class: quality < WEAK ? "bad" : "dim" }, t(quality < WEAK ? "link.weak" : "link.good", { n: quality, most: BEST })),
    h("meter", { min: "0", max: String(BEST), low: String(WEAK), optimum: String(BEST), value: String(quality), "aria-label": t("link.of", { name: nameOf(id) }) }));
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
