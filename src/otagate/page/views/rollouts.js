// Rollouts: all of them, or one with its waves and the updates that need a look.

import { ago, dots, plain, t } from "../i18n.js";
import { order } from "../orders.js";
import { ask } from "../parts/dialog.js";
import { h } from "../parts/dom.js";
import { askToRollOut } from "../parts/rollout_order.js";
import { unread } from "../parts/unread.js";
import { updateRow } from "../parts/update.js";
import { strip, waves } from "../parts/waves.js";
import { reading } from "../readings.js";
import { to } from "../router.js";
import { hub, may, updates } from "../store.js";

const ACTS = {
  running: ["pause", "halt", "cancel"],
  waiting_for_approval: ["approve", "pause", "halt", "cancel"],
  paused: ["resume", "halt", "cancel"],
  halted: ["resume", "cancel"],
};
const ASKED = new Set(["resume", "cancel"]); // what is asked about before it is done
const APPROVERS = new Set(["approve", "resume"]); // what only they may do who approve
const ORDER = ["failed", "transferring", "queued", "planned"];

export function view(id) {
  return id ? one(id) : all();
}

function all() {
  const order = () => askToRollOut(null);
  const begin = may("operate") && h("p", { key: "new" }, h("button", { type: "button", class: "sure", onclick: order }, t("rollout.new.more")));
  const none = [h("p", { key: "none" }, t("rollouts.none")), h("p", { key: "more", class: "dim" }, t("rollouts.none.more"))];
  if (!hub.rollouts.length) return { title: t("nav.rollouts"), content: [none, begin] };
  return { title: t("nav.rollouts"), content: [begin, h("ul", { key: "list" }, hub.rollouts.map((each) => h("li", { key: each.id },
    h("a", { class: "name", href: to("rollouts", each.id) }, h("bdi", {}, plain(each.name, 80))), state(each),
    h("p", { class: "dim" }, plain(each.sentence), ` ${t("rollout.since", { time: ago(each.created), actor: each.actor })}`),
    strip(each), acts(each))))] };
}

const state = (rollout) => h("span", { class: `chip ${rollout.state}` }, t(`rollout.${rollout.state}`));

function one(id) {
  const known = hub.rollouts.find((each) => each.id === id);
  const read = known ? { data: known, problem: "" } : reading(`rollouts/${encodeURIComponent(id)}`);
  const rollout = read.data;
  const back = h("p", { key: "back" }, h("a", { href: to("rollouts") }, t("rollouts.back")));
  if (!rollout) return { title: read.problem ? t("rollout.gone") : t("loading"), content: [back, read.problem && unread(read)] };
  return { title: plain(rollout.name, 80), content: [
    back,
    h("section", { key: "now", class: "card stack" },
      h("p", { class: "big" }, t(`rollout.${rollout.state}`)),
      h("p", {}, plain(rollout.sentence)),
      h("p", { class: "dim" }, dots([whom(rollout.select), rollout.version && t("rollout.version", { version: rollout.version }),
        t("rollout.since", { time: ago(rollout.created), actor: rollout.actor })])),
      acts(rollout)),
    h("section", { key: "waves" }, h("h2", {}, t("rollout.waves")), waves(rollout)),
    members(rollout),
  ] };
}

function whom({ model, group, radio, devices }) {
  const told = [model && t("rollout.for.model", { name: model }), group && t("rollout.for.group", { name: group }),
    radio && t("rollout.for.radio", { name: radio }), devices && t("rollout.devices", { n: devices.length })].filter(Boolean);
  return told.join(", ") || t("rollout.everybody");
}

function acts(rollout) {
  const verbs = (ACTS[rollout.state] || []).filter((verb) => may(APPROVERS.has(verb) ? "approve" : "operate"));
  const run = (verb) => order("POST", `rollouts/${encodeURIComponent(rollout.id)}/${verb}`);
  const press = (verb) => (ASKED.has(verb) ? confirm(rollout, verb, run) : run(verb));
  return verbs.length > 0 && h("div", { key: "acts", class: "acts" }, verbs.map((verb) => h("button", {
    key: verb === "resume" ? "pause" : verb, type: "button", class: verb === "halt" ? "halt" : verb === "approve" ? "sure" : "",
    "aria-label": t("act.of", { act: t(`rollout.act.${verb}`), name: rollout.name }), onclick: () => press(verb),
  }, t(`rollout.act.${verb}`))));
}

function confirm(rollout, verb, run) {
  ask(t(`rollout.ask.${verb}`, { name: rollout.name }), (again, close) => ({
    body: t(`rollout.ask.${verb}.more`),
    sure: t(`rollout.act.${verb}`),
    go: () => {
      close();
      run(verb);
    },
  }));
}

// Its updates, those first that a person would look at; what the store does not keep any more is read.
function members({ id, waves: of }) {
  const read = reading(`updates?rollout=${encodeURIComponent(id)}&limit=500`, { made_of: of.map((each) => [each.opened, each.pending]) });
  const known = new Map((read.data?.items || []).map((each) => [each.id, each]));
  for (const each of updates()) if (each.rollout === id) known.set(each.id, each);
  const place = (each) => (ORDER.includes(each.state) ? ORDER.indexOf(each.state) : ORDER.length);
  const rows = [...known.values()].sort((a, b) => place(a) - place(b) || (a.id < b.id ? 1 : -1));
  return h("section", { key: "updates" }, h("h2", {}, t("rollout.updates")),
    read.problem && unread(read),
    rows.length ? h("ul", {}, rows.map(updateRow)) : h("p", { class: "dim" }, t("rollout.updates.none")));
}
