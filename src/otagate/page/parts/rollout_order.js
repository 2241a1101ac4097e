// The order of a rollout: for whom, under which name; first the hub shows the waves, and only then it starts.

import { act } from "../api.js";
import { plain, t } from "../i18n.js";
import { say } from "../orders.js";
import { to } from "../router.js";
import { changed, hub, nameOf, reload } from "../store.js";
import { ask, attempts } from "./dialog.js";
import { h } from "./dom.js";
import { waves } from "./waves.js";

// One device, few, a quarter, the rest, as the hub has it by itself; behind a manual gate each wave waits for somebody.
const BY_HAND = [{ share: 0.01, success: 1, error: 0, gate: "manual" }, { share: 0.05, gate: "manual" }, { share: 0.25, gate: "manual" }];

// `select` is whom it is for; without one, the dialog asks.
export function askToRollOut(select, done = () => {}) {
  const wish = { name: t("rollout.called", { date: new Date().toISOString().slice(0, 10) }), when: "now", by_hand: false, select: select || {} };
  const trying = attempts();
  let plan = null;
  let planned = ""; // the order that `plan` is about
  ask(t("rollout.new"), (again, close) => {
    const body = { name: wish.name, select: wish.select, when: wish.when, ...(wish.by_hand ? { waves: BY_HAND } : {}) };
    const look = () => trying.run(async () => {
      plan = await act("POST", "rollouts", { ...body, dry_run: true });
      planned = JSON.stringify(body);
    }, again);
    const go = () => trying.run(async () => {
      const made = await act("POST", "rollouts", { ...body, dry_run: false });
      say(t("rollout.started"));
      close();
      done();
      await reload("rollouts").catch(changed);
      location.hash = to("rollouts", made.id);
    }, again);
    const change = (changes) => {
      Object.assign(wish, changes);
      trying.problem = "";
      again();
    };
    const shown = planned === JSON.stringify(body) ? plan : null;
    return { form: form(wish, change, select), body: told(shown, trying), sure: t(shown ? "rollout.go" : "rollout.look"), go: shown ? go : look };
  });
}

function form(wish, change, select) {
  return h("div", { class: "options" },
    h("label", {}, t("rollout.name"),
      h("input", { type: "text", maxlength: "64", value: wish.name, oninput: (event) => change({ name: event.target.value }) })),
    select ? h("p", {}, t("rollout.devices", { n: select.devices.length })) : forWhom(change),
    h("label", {}, t("order.when"), h("select", { value: wish.when, onchange: (event) => change({ when: event.target.value }) },
      ["now", "window"].map((each) => h("option", { key: each, value: each }, t(`order.when.${each}`))))),
    h("label", { class: "choose" },
      h("input", { type: "checkbox", checked: wish.by_hand, onchange: (event) => change({ by_hand: event.target.checked }) }), t("rollout.by-hand")));
}

function forWhom(change) {
  const devices = [...hub.devices.values()];
  const options = Object.entries({
    model: devices.map((each) => each.model), group: devices.flatMap((each) => each.groups), radio: devices.map((each) => each.radio),
  });
  const pick = (event) => {
    const [key, ...rest] = event.target.value.split(" ");
    change({ select: key ? { [key]: rest.join(" ") } : {} });
  };
  return h("label", {}, t("rollout.for"), h("select", { onchange: pick }, h("option", { value: "" }, t("rollout.everybody")),
    options.map(([key, names]) => [...new Set(names.filter(Boolean))].sort().map((name) =>
      h("option", { key: `${key} ${name}`, value: `${key} ${name}` }, t(`rollout.for.${key}`, { name }))))));
}

function told(plan, { problem }) {
  return [
    problem && h("p", { key: "problem", class: "bad" }, plain(problem)),
    plan && waves(plan),
    plan && plan.refused.map(({ device, problem: why }) =>
      h("p", { key: device, class: "bad" }, plain(nameOf(device), 80), ": ", t("order.refused", { why: why.detail }))),
    plan && h("p", { key: "nothing", class: "dim" }, t("order.nothing")),
  ];
}
