// Notifications: who is told what happens, whether it gets there, and a test of it.

import { act } from "../api.js";
import { ago, exact, number, plain, t } from "../i18n.js";
import { say } from "../orders.js";
import { attempts } from "../parts/dialog.js";
import { h } from "../parts/dom.js";
import { facts } from "../parts/facts.js";
import { again, notifiers } from "../parts/notifiers.js";
import { unread } from "../parts/unread.js";
import { reading } from "../readings.js";
import { changed, may } from "../store.js";

const tries = new Map(); // name → what became of its tests

export function view() {
  const found = notifiers();
  const rules = reading("settings").data?.settings.notify || [];
  return { title: t("nav.notices"), content: [
    h("p", { key: "how", class: "dim" }, t("notices.how")),
    unread(found),
    found.data && (found.data.items.length
      ? h("ul", { key: "notifiers" }, found.data.items.map((each) => row(each, rules.find((rule) => rule.name === each.name) || {})))
      : none()),
  ] };
}

function none() {
  return [
    h("p", { key: "none" }, t("notices.none")),
    h("pre", { key: "example", class: "example", tabindex: "0", "aria-label": t("notices.example") },
      "notify:\n  - {name: phone, type: ntfy, url: https://ntfy.example.org/my-house, severity: warning}"),
  ];
}

function row({ name, type, severity, state, sentence, waiting, last_delivered }, { url, topic, quiet }) {
  if (!tries.has(name)) tries.set(name, Object.assign(attempts(), { arrived: null }));
  const failing = state === "failing";
  return h("li", { key: name },
    h("span", { class: `chip ${failing ? "failed" : "ok"}` }, t(`notifier.state.${state}`)),
    h("h2", { class: "name" }, h("bdi", {}, plain(name, 80))),
    h("p", { class: failing ? "bad" : "" }, plain(sentence)),
    failing && h("p", {}, t("help", { what: t("notifier.help") })),
    facts([
      [t("notifier.type"), t(`notifier.type.${type}`)],
      [t("notifier.to"), url || topic],
      [t("notifier.severity"), t(`severity.${severity}`)],
      [t("notifier.quiet"), quiet && t("notifier.quiet.hours", { from: quiet.from, to: quiet.to, zone: quiet.zone || "" })],
      [t("notifier.last"), h("span", { title: exact(last_delivered) }, last_delivered ? ago(last_delivered) : t("notifier.not-yet"))],
      [t("notifier.waiting"), waiting > 0 && number(waiting)],
    ]),
    may("operate") && trial(name, tries.get(name)));
}

function trial(name, tried) {
  const test = () => tried.run(async () => {
    tried.arrived = null;
    await act("POST", `notifiers/${encodeURIComponent(name)}/test`);
    tried.arrived = Date.now();
    say(t("notifier.tested", { name }));
  }, () => {
    again();
    changed();
  });
  return h("div", { class: "acts" },
    h("button", { type: "button", "aria-label": t("act.of", { act: t("notifier.test"), name }), onclick: test }, t("notifier.test")),
    h("p", { role: "status", class: tried.problem ? "bad" : "dim" },
      plain(tried.problem) || (tried.arrived ? t("notifier.tested", { name }) : "")));
}
