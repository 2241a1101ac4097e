// An order of updates: first the hub says what would happen, grouped by the reason, and only what was shown can then be ordered.

import { act } from "../api.js";
import { dots, duration, plain, t } from "../i18n.js";
import { say } from "../orders.js";
import { changed, hub, may, nameOf } from "../store.js";
import { ask, attempts } from "./dialog.js";
import { h } from "./dom.js";
import { begins } from "./plan.js";
import { change } from "./update.js";

const MOST = 500; // devices that the hub takes in one call
const GUARDS = new Set(["window_closed", "battery_low", "battery_unknown", "link_weak", "pinned", "skipped", "cooldown",
  "in_use", "interlock", "quarantined", "load"]);
const SHOWN = 50; // lines of a group; the rest is counted

// `wanted`: { devices, component?, version? } as POST /updates takes it; `done` is called once it was ordered.
export function askToUpdate(wanted, done = () => {}) {
  const many = wanted.devices.length > 1;
  const title = many ? t("order.title.many", { n: wanted.devices.length }) : t("order.title", { name: nameOf(wanted.devices[0]) });
  const wish = { when: "now", priority: "normal", override: new Set(), because: "" };
  const trying = attempts();
  let key = ""; // new for every plan: what was shown is ordered once, however often it is sent
  let plan = null;
  let planned = ""; // what `plan` is about; why a guard is overruled changes nothing in it
  let guards = []; // what was in the way at first, and may be overruled
  ask(title, (again, close) => {
    const now = asked(wanted, wish);
    const about = JSON.stringify({ ...now, because: "" });
    const stale = planned !== about;
    const look = () => trying.run(async () => {
      plan = await send(now, true);
      planned = about;
      key = newKey();
      guards = [...new Set([...guards, ...reasonsOf(plan).filter((each) => GUARDS.has(each))])];
    }, again);
    const go = () => trying.run(async () => {
      const made = await send(now, false, key);
      for (const each of made.updates) hub.updates.set(each.id, each);
      if (!made.updates.length) plan = made;
      else {
        say(t("order.ordered", { n: made.updates.length }));
        close();
        done();
        changed();
      }
    }, again);
    const change = (changes) => {
      Object.assign(wish, changes);
      trying.problem = "";
      again();
    };
    if (stale && !trying.busy && !trying.problem && !needsWord(wish)) look();
    const sure = plan && !stale && !needsWord(wish) && plan.updates.length > 0 && t("order.go", { n: plan.updates.length });
    return { form: plan && options(wish, guards, change), body: !needsWord(wish) && told(plan, trying.problem, many, stale), sure, go };
  });
}

const needsWord = (wish) => wish.override.size > 0 && !wish.because.trim();

function asked(wanted, { when, priority, override, because }) {
  return { ...wanted, when, priority, ...(override.size ? { override: [...override], because: because.trim() } : {}) };
}

// More devices than one call takes are ordered in several; what they answer is put together.
async function send(wish, dry_run, key) {
  const all = { updates: [], refused: [], plans: [] };
  for (let i = 0; i < wish.devices.length; i += MOST) {
    const headers = key ? { "Idempotency-Key": `${key}-${i}` } : {};
    const part = await act("POST", "updates", { ...wish, devices: wish.devices.slice(i, i + MOST), dry_run }, { headers });
    for (const each of Object.keys(all)) all[each].push(...(part[each] || []));
  }
  return all;
}

function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((each) => each.toString(16).padStart(2, "0")).join("");
}

function reasonsOf(plan) {
  return [...plan.updates.map((each, i) => plan.plans[i]?.reason || each.reason), ...plan.refused.map((each) => each.problem.reason)].filter(Boolean);
}

function options(wish, guards, change) {
  const overrule = (guard) => (event) => {
    const override = new Set(wish.override);
    event.target.checked ? override.add(guard) : override.delete(guard);
    change({ override });
  };
  return h("div", { key: "options", class: "options" },
    h("label", {}, t("order.when"), h("select", { value: wish.when, onchange: (event) => change({ when: event.target.value }) },
      ["now", "window"].map((each) => h("option", { key: each, value: each }, t(`order.when.${each}`))))),
    h("label", {}, t("order.priority"), h("select", { value: wish.priority, onchange: (event) => change({ priority: event.target.value }) },
      ["normal", "high", "low"].map((each) => h("option", { key: each, value: each }, t(`priority.${each}`))))),
    guards.length > 0 && may("approve") && h("details", { key: "guards" }, h("summary", {}, t("order.overrules")),
      guards.map((guard) => h("label", { key: guard, class: "choose" },
        h("input", { type: "checkbox", checked: wish.override.has(guard), onchange: overrule(guard) }),
        t("order.override", { guard: t(`reason.${guard}`) }))),
      h("label", {}, t("order.because"),
        h("input", { type: "text", maxlength: "500", value: wish.because, oninput: (event) => change({ because: event.target.value }) })),
      needsWord(wish) && h("p", { class: "bad", role: "alert" }, t("order.because.need"))));
}

function told(plan, problem, many, stale) {
  if (problem) return [h("p", { key: "problem", class: "bad" }, plain(problem))];
  if (!plan || stale) return [h("p", { key: "looking" }, t("order.looking"))];
  const { updates, refused } = plan;
  const airtime = plan.plans.reduce((sum, each) => sum + (each.airtime_seconds?.value || 0), 0);
  const groups = grouped(plan);
  const sum = [t("order.would", { n: updates.length }), refused.length && t("order.refused.many", { n: refused.length })];
  return [
    !updates.length && !refused.length && h("p", { key: "none" }, t("order.none")),
    many && h("p", { key: "sum" }, h("strong", {}, sum.filter(Boolean).join(", "))),
    groups.map((group) => (many ? folded(group) : group.rows.map(line))),
    airtime >= 1 && h("p", { key: "airtime", class: "dim" }, t("order.airtime", { time: duration(airtime) })),
    h("p", { key: "nothing", class: "dim" }, t("order.nothing")),
  ];
}

// What would become of the devices, those with the same reason together, the largest group first.
function grouped({ updates, refused, plans }) {
  const groups = new Map();
  const into = (label, help, bad, row) => {
    const key = `${bad} ${label}`;
    if (!groups.has(key)) groups.set(key, { key, label, help, bad, rows: [] });
    groups.get(key).rows.push({ ...row, bad });
  };
  updates.forEach((each, i) => {
    const reason = plans[i] ? plans[i].reason : each.reason;
    const sentence = plans[i]?.when ? begins(plans[i].when) : plans[i]?.sentence || each.sentence || t("order.starts");
    const what = dots([change(each), t("release.from", { source: each.source })]);
    const row = { key: each.id || `${each.device} ${each.component}`, device: each.device, what, sentence, notes: plans[i]?.release?.changelog };
    into(reason ? t(`reason.${reason}`) : t("order.begins"), reason ? t(`reason.${reason}.more`) : "", false, row);
  });
  for (const { device, problem } of refused) {
    const label = problem.reason ? t(`reason.${problem.reason}`) : problem.title;
    const row = { key: `not ${device}`, device, what: "", sentence: t("order.refused", { why: problem.detail }) };
    into(label, problem.reason ? t(`reason.${problem.reason}.more`) : "", true, row);
  }
  return [...groups.values()].sort((a, b) => a.bad - b.bad || b.rows.length - a.rows.length);
}

function folded({ key, label, help, bad, rows }) {
  const title = t(bad ? "order.group.refused" : "order.group", { what: label, n: rows.length });
  return h("details", { key }, h("summary", { class: bad ? "bad" : "" }, title),
    help && h("p", { class: "dim" }, help),
    h("ul", {}, rows.slice(0, SHOWN).map((row) => h("li", { key: row.key },
      h("bdi", { class: "name" }, plain(nameOf(row.device), 80)), ` ${row.what}`, h("p", { class: "dim" }, plain(row.sentence))))),
    rows.length > SHOWN && h("p", { class: "dim" }, t("more", { n: rows.length - SHOWN })));
}

function line({ key, what, sentence, bad, notes }) {
  return h("div", { key },
    h("p", { class: bad ? "bad" : "" }, what, what && h("br"), h("span", { class: bad ? "" : "dim" }, plain(sentence))),
    notes && h("details", {}, h("summary", {}, t("release.notes")), h("p", { class: "notes" }, plain(notes, 8000))));
}
