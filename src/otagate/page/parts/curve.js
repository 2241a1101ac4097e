// A curve of the rate over time, and the same in words for those who do not see it.

import { duration, rate, t } from "../i18n.js";
import { h } from "./dom.js";

const WIDE = 600;
const HIGH = 100;
const GAP = 15000; // a longer silence is a hole in the line, where the points are not farther apart than that anyway

// `samples`: [{ at, rate }] in the order of time, `at` in milliseconds.
export function curve(samples) {
  if (samples.length < 2) return h("p", { key: "curve", class: "dim" }, t("rate.none"));
  const first = samples[0].at;
  const last = samples[samples.length - 1];
  const most = Math.max(...samples.map((each) => each.rate), 1);
  const point = ({ at, rate: value }) => {
    const [x, y] = [(WIDE * (at - first)) / Math.max(1, last.at - first), HIGH - 4 - ((HIGH - 8) * value) / most];
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  };
  const says = t("rate.says", { time: duration((last.at - first) / 1000), now: rate(last.rate), most: rate(most) });
  return h("figure", { key: "curve", class: "curve" },
    h("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", role: "img", "aria-label": says },
      runs(samples).map((run, i) => h("polyline", { key: i, points: run.map(point).join(" ") }))),
    h("figcaption", { class: "dim" }, says));
}

function runs(samples) {
  const found = [[]];
  const gap = Math.max(GAP, (4 * (samples[samples.length - 1].at - samples[0].at)) / samples.length);
  samples.forEach((each, i) => {
    if (i && each.at - samples[i - 1].at > gap) found.push([]);
    found[found.length - 1].push(each);
  });
  return found;
}
