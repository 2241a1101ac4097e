// What happens next: the hours to come as a picture, the openings of windows, and for every device what would become of it and why or why not.

import { read } from "../api.js";
import { dots, duration, number, t, until, version, when } from "../i18n.js";
import { deviceLink } from "../parts/device.js";
import { h, memo } from "../parts/dom.js";
import { askToUpdate } from "../parts/order.js";
import { planOf } from "../parts/plan.js";
import { timeline } from "../parts/timeline.js";
import { unread } from "../parts/unread.js";
import { bar, pace } from "../parts/update.js";
import { reading } from "../readings.js";
import { to } from "../router.js";
import { changed, FINAL, hub, may, nameOf } from "../store.js";

const MINUTE = 60000;
const FRESH = MINUTE; // it is a forecast, and becomes another one as time passes
const LANES = 30;
const OPENINGS = 7;
const SHOWN = 50; // of a group at first
const whole_groups = new Set();
const kept = memo();
const LAST = new Set(["activating", "confirming"]); // the bytes are there: what is left takes a moment
const GROUPS = ["runs", "begins", "waits", "asks", "stopped"];

export function view() {
  const found = reading("plan?limit=500", { made_of: hub.facts, every: FRESH, breath: 5000, get: whole });
  const notice = unread(found, t("plan.reading"));
  if (!found.data) return { title: t("nav.plan"), content: notice };
  const { items, openings } = found.data;
  const rows = items.flatMap(({ device, components }) => components.map((plan) => ({ device, plan })));
  const groups = GROUPS.map((outcome) => [outcome, rows.filter(({ plan }) => plan.outcome === outcome)]).filter(([, some]) => some.length);
  const idle = rows.length - groups.reduce((sum, [, some]) => sum + some.length, 0);
  const now = Date.now();
  const running = updateLanes(rows, now);
  const lanes = [...windowLanes(openings, Math.max(...running.map((lane) => lane.spans[0][1]))), ...running];
  return { title: summary(groups), content: [
    notice,
    lanes.length > 0 && h("section", { key: "picture" }, h("h2", {}, t("plan.picture")), timeline(lanes, now),
      running.length > 0 && h("p", { key: "ends", class: "dim" },
        t("plan.ends", { time: when(new Date(Math.max(...running.map((lane) => lane.spans[0][1])))) }))),
    windows(openings),
    groups.map(group),
    !groups.length && h("p", { key: "none" }, t(items.length ? "plan.none" : "sum.empty")),
    idle > 0 && h("p", { key: "rest", class: "dim" }, t("plan.rest", { n: idle })),
  ] };
}

// The first page tells the openings, every page its devices.
async function whole(path) {
  const first = await read(`${path}&openings=${OPENINGS}`);
  let cursor = first.next_cursor;
  while (cursor) {
    const page = await read(`${path}&cursor=${encodeURIComponent(cursor)}`);
    first.items.push(...page.items);
    cursor = page.next_cursor;
  }
  return first;
}

function summary(groups) {
  const counts = Object.fromEntries(groups.map(([outcome, some]) => [outcome, some.length]));
  const told = GROUPS.filter((each) => counts[each]).map((each) => t(`plan.sum.${each}`, { n: counts[each] }));
  return told.join(", ") || t("plan.quiet");
}

// The next opening of each window, and those after it that are still needed: the others stand below in words.
function windowLanes(openings, needed) {
  const lanes = new Map();
  for (const { window, begins, ends } of openings) {
    if (!lanes.has(window)) lanes.set(window, { key: `window ${window}`, name: t("plan.window", { name: window }), kind: "window", spans: [] });
    else if (Date.parse(begins) > needed) continue;
    lanes.get(window).spans.push([Date.parse(begins), Date.parse(ends)]);
  }
  return [...lanes.values()];
}

function updateLanes(rows, now) {
  const ended = (plan) => FINAL.has(hub.updates.get(plan.update)?.state);
  const timed = rows.filter(({ plan }) => plan.when?.begins && ["runs", "begins", "waits"].includes(plan.outcome) && !ended(plan));
  const lanes = timed.map(({ device, plan }) => {
    const from = Math.max(now, Date.parse(plan.when.begins));
    const update = hub.updates.get(plan.update);
    const left = LAST.has(update?.state) ? 1 : update?.progress.eta_seconds;
    const foreseen = plan.when.ends ? Date.parse(plan.when.ends) : from + MINUTE * (plan.minutes?.value ?? 5);
    const ends = Math.max(left ? now + 1000 * left : foreseen, from + MINUTE);
    return { key: `${device} ${plan.component}`, name: nameOf(device), kind: "update", spans: [[from, ends]] };
  });
  return lanes.sort((a, b) => a.spans[0][0] - b.spans[0][0]).slice(0, LANES);
}

function windows(openings) {
  return h("section", { key: "windows" }, h("h2", {}, t("plan.windows")),
    openings.length ? h("ul", {}, openings.map(opening)) : h("p", { class: "dim" }, t("plan.nowindows")));
}

function opening({ window, begins, ends, at_end, turns, airtime_seconds }) {
  const names = [...new Set(turns.map((each) => each.device))];
  return h("li", { key: `${window} ${begins}` },
    h("span", { class: "name" }, t("plan.opening", { name: window, from: when(begins), to: until(begins, ends) })),
    h("p", { class: "dim" },
      dots([t("plan.turns", { n: turns.length }), turns.length && t("plan.airtime", { time: duration(airtime_seconds) }), t(`plan.end.${at_end}`)])),
    names.length > 0 && h("details", {}, h("summary", {}, t("plan.who")), h("ol", { class: "lines" }, turns.slice(0, LANES).map((turn) =>
      h("li", { key: `${turn.device} ${turn.component}` }, when(turn.begins), " ", deviceLink(turn.device))),
    turns.length > LANES && h("li", {}, t("more", { n: turns.length - LANES })))));
}

function group([outcome, some]) {
  const shown = whole_groups.has(outcome) ? some : some.slice(0, SHOWN);
  const show = () => {
    whole_groups.add(outcome);
    changed();
  };
  return h("section", { key: outcome }, h("h2", {}, t(`plan.group.${outcome}`)),
    h("ul", {}, shown.map(({ device, plan }) => {
      const update = hub.updates.get(plan.update);
      return kept(`${device} ${plan.component}`, [plan, update, nameOf(device)], () => row(device, plan, update));
    })),
    shown.length < some.length && h("p", {}, h("button", { type: "button", onclick: show }, t("show-more", { n: some.length - shown.length }))));
}

// What runs is told as it is, not as it was foreseen.
function progress(update) {
  const percent = t("percent", { n: number(update.progress.percent) });
  return [h("p", { key: "state" }, dots([t(`state.${update.state}`), percent, pace(update)])), bar(update)];
}

function row(device, plan, update) {
  const target = plan.steps.at(-1)?.to_version ?? plan.release?.version ?? update?.to_version ?? null;
  const order = () => askToUpdate({ devices: [device], component: plan.component });
  const over = update && FINAL.has(update.state); // since the plan was read
  const what = over ? t(`state.${update.state}`) : plan.reason ? t(`reason.${plan.reason}`) : t(`outcome.${plan.outcome}`);
  return h("li", { key: `${device} ${plan.component}` },
    h("div", { class: "head" }, h("span", {}, deviceLink(device), target !== null && ` ${version(plan.from_version)} → ${version(target)}`),
      plan.update ? h("a", { class: "dim", href: to("update", plan.update) }, what) : h("span", { class: "dim" }, what)),
    plan.outcome === "runs" && update ? progress(update) : planOf(plan),
    plan.outcome === "asks" && may("operate") && h("div", { class: "acts" },
      h("button", { type: "button", onclick: order, "aria-label": t("act.of", { act: t("device.update"), name: nameOf(device) }) },
        t("device.update"))));
}
