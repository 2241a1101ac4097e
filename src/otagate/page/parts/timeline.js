// The hours to come as a picture: the openings of windows, and below them what is likely to run when. Its words stand beside it on the page.

import { duration, plain, t, when } from "../i18n.js";
import { h } from "./dom.js";

const MINUTE = 60000;
const LEAST = 10 * MINUTE;
const TICKS = [2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440]; // minutes between two marks
const MARKS = 6;
const NARROW = 550; // pixels, where only half as many have room

// `lanes`: [{ key, name, kind: "window" | "update", spans: [[from, to]…] }] in milliseconds.
export function timeline(lanes, now) {
  const last = Math.max(now + LEAST, ...lanes.flatMap((lane) => lane.spans.map(([, to]) => to)));
  const place = (moment) => Math.min(1, Math.max(0, (moment - now) / (last - now)));
  return h("div", { key: "timeline", class: "timeline", role: "img", "aria-label": t("plan.timeline", { time: duration((last - now) / 1000) }) },
    h("div", { key: "axis", class: "lane axis" }, h("span", {}), h("span", { class: "track" }, marks(now, last).map((at) =>
      h("span", { key: at, class: place(at) > 0.9 ? "mark late" : "mark", span: [place(at), place(at)] }, at === now ? t("plan.now") : when(at))))),
    lanes.map((lane) => h("div", { key: lane.key, class: `lane ${lane.kind}` }, h("span", { class: "label" }, h("bdi", {}, plain(lane.name, 60))),
      h("span", { class: "track" }, lane.spans.filter(([from, to]) => to > now && from < last).map(([from, to]) =>
        h("span", { key: from, class: "span", span: [place(from), place(to)] }))))));
}

// Round times of the clock here, as many as there is room for.
function marks(now, last) {
  const most = innerWidth < NARROW ? MARKS / 2 : MARKS;
  const needed = (last - now) / MINUTE / most;
  const step = TICKS.find((each) => each >= needed) || 1440 * Math.ceil(needed / 1440);
  const at = new Date(now);
  at.setHours(0, 0, 0, 0);
  const found = [now];
  while (at.getTime() < last) {
    if (at.getTime() - now > (last - now) / (2 * most)) found.push(at.getTime());
    at.setMinutes(at.getMinutes() + step);
  }
  return found;
}
