// The first screen: what the hub is doing, who needs a person, what runs, and every device. Live by the hub's events.

import { act, findToken, keepToken } from "./api.js";
import { ago, duration, plain, rate, raw, t, version } from "./i18n.js";
import { icon, kindOf } from "./parts/icons.js";
import { h, render } from "./parts/dom.js";
import { FINAL, hub, nameOf, open, updates, watch } from "./store.js";

const app = document.getElementById("app");
const said = document.getElementById("said");
const ACTS = {
  planned: ["approve", "cancel"], queued: ["pause", "cancel"], fetching: ["cancel"], offering: ["pause", "cancel"], transferring: ["pause", "cancel"], staged: ["activate", "cancel"],
  failed: ["retry"],
};
let problem = "";

function say(text) {
  said.textContent = text;
}

async function order(method, path, body) {
  try {
    problem = "";
    await act(method, path, body);
  } catch (error) {
    problem = t("act.failed", { why: error.message });
  }
  draw();
}

function buttons(update) {
  const verbs = (ACTS[update.state] || []).map((verb) => (verb === "pause" && update.reason === "paused" ? "resume" : verb));
  return verbs.map((verb) =>
    h("button", { type: "button", "aria-label": t("act.of", { act: t(`act.${verb}`), name: nameOf(update.device) }), onclick: () => order("POST", `updates/${update.id}/${verb}`) }, t(`act.${verb}`)));
}

function row(update) {
  const { percent, bytes_per_second, eta_seconds } = update.progress;
  const why = update.error?.detail || update.sentence || t(`state.${update.state}.more`);
  return h("li", { key: update.id },
    h("strong", {}, h("bdi", {}, plain(nameOf(update.device), 80))), h("span", {}, ` ${version(update.from_version)} → ${version(update.to_version)} · ${t(`state.${update.state}`)}`),
    h("p", { class: "dim" }, plain(why)),
    FINAL.has(update.state) ? null : h("progress", { max: "100", value: percent, "aria-label": t("update.progress", { name: nameOf(update.device) }) }),
    h("p", { class: "dim" }, [rate(bytes_per_second), eta_seconds === null ? "" : t("update.left", { time: duration(eta_seconds) })].filter(Boolean).join(" · ")),
    h("div", { class: "acts" }, buttons(update)));
}

function device(each) {
  const component = each.components[0];
  return h("li", { key: each.id }, icon(kindOf(each)), h("strong", {}, h("bdi", {}, plain(each.name || each.model || each.id, 80))), h("span", { class: `chip ${each.update_status}` }, t(`status.${each.update_status}`)),
    h("p", { class: "dim" }, [component && `${version(component.version)} ${raw(component.version)}`, component?.available && `${t("latest")} ${version(component.available.version)}`,
      each.power === "mains" ? t("mains") : each.battery_percent === null ? t("battery.unknown") : t("battery", { n: each.battery_percent }), t(each.online ? "online" : "offline"), t("seen", { time: ago(each.last_seen) })].filter(Boolean).join(" · ")));
}

function part(title, items, make, empty) {
  return h("section", { key: title }, h("h2", {}, title), items.length ? h("ul", {}, items.map(make)) : h("p", { class: "dim" }, empty));
}

function summary(running, waiting, needs) {
  const left = Math.max(0, ...running.map((each) => each.progress.eta_seconds ?? 0));
  const told = [running.length && (left ? t("sum.updating", { n: running.length, time: duration(left) }) : t("sum.updating.unsure", { n: running.length })), waiting.length && t("sum.waiting", { n: waiting.length }), needs.length && t("sum.needs", { n: needs.length })];
  return told.filter(Boolean).join("; ") || t(hub.devices.size ? "sum.quiet" : "sum.empty");
}

function draw() {
  const open_ones = updates().filter((each) => !FINAL.has(each.state));
  const needs = open_ones.filter((each) => each.state === "planned" || each.state === "staged");
  const waiting = open_ones.filter((each) => each.state === "queued");
  const running = open_ones.filter((each) => !needs.includes(each) && !waiting.includes(each));
  const devices = [...hub.devices.values()];
  const halted = hub.halt.halted;
  render(app, h("main", {}, h("h1", {}, summary(running, waiting, needs)),
    hub.line.open ? null : h("p", { class: "alert", role: "alert" }, t("line.lost", { time: ago(hub.line.heard) })),
    problem ? h("p", { class: "alert", role: "alert" }, plain(problem)) : null,
    h("p", {}, h("button", { type: "button", class: "halt", onclick: () => order(halted ? "DELETE" : "POST", "halt", halted ? undefined : {}) }, t(halted ? "halt.lift" : "halt"))),
    part(t("overview.needs"), needs, row, t("overview.nothing")), part(t("overview.running"), [...running, ...waiting], row, t("overview.idle")),
    part(t("overview.devices"), devices, device, t("devices.empty"))));
}

function signIn(why) {
  const go = (event) => {
    event.preventDefault();
    keepToken(document.getElementById("token").value.trim());
    start();
  };
  render(app, h("main", {}, h("h1", {}, t("sign-in")), h("p", {}, t("sign-in.why")), why ? h("p", { class: "alert", role: "alert" }, plain(why)) : null, h("p", {}, t("sign-in.file")),
    h("form", { onsubmit: go }, h("label", { for: "token" }, t("sign-in.token")), h("input", { id: "token", type: "password", autocomplete: "off", required: true }), h("button", {}, t("sign-in.go")))));
}

async function start() {
  try {
    await open({ signal: new AbortController().signal, refused: () => signIn(t("sign-in.wrong")), told: (type, data) => type === "update" && data.fact && say(t("said.state", { name: nameOf(data.device), state: t(`state.${data.state}`) })) });
    watch(draw);
    draw();
  } catch (error) {
    signIn(error.status === 401 ? t("sign-in.wrong") : t("sign-in.unreachable", { why: error.message }));
  }
}

findToken() ? start() : signIn("");
setInterval(() => hub.ready && !hub.line.open && draw(), 5000);
