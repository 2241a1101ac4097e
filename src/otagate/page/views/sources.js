// Where firmware comes from: how each source fares, what may still be asked of it, and what helps where something is wrong.

import { ago, duration, exact, has, number, plain, size, t, when } from "../i18n.js";
import { order } from "../orders.js";
import { h } from "../parts/dom.js";
import { facts } from "../parts/facts.js";
import { hub, may } from "../store.js";

export function view() {
  return { title: t("nav.sources"), content: [
    hub.sources.length ? h("ul", { key: "sources" }, hub.sources.map(row)) : h("p", { class: "dim" }, t("sources.none")),
  ] };
}

function row(source) {
  const { name, state, error } = source;
  const fine = state === "ok" || state === "offline";
  const ask = () => order("POST", `sources/${encodeURIComponent(name)}/refresh`, {});
  return h("li", { key: name },
    h("span", { class: `chip ${state}` }, t(`source.state.${state}`)),
    h("h2", { class: "name" }, h("bdi", {}, plain(name, 80))),
    h("p", { class: fine ? "" : "bad" }, plain(source.sentence)),
    error && error.detail !== source.sentence && h("p", { class: "dim" }, plain(error.detail)),
    !fine && h("p", {}, t("help", { what: help(source) })),
    facts([
      [t("source.type"), source.type],
      [t("source.releases"), number(source.releases)],
      [t("source.last"), h("span", { title: exact(source.last_success) }, ago(source.last_success))],
      [t("source.next"), source.next_refresh && when(source.next_refresh)],
    ]),
    source.quotas.map((each) => quota(each, fine)),
    source.skipped_count > 0 && h("details", {}, h("summary", {}, t("source.skipped", { n: source.skipped_count })),
      h("ul", { class: "plain" }, source.skipped.map(skipped))),
    may("operate") && h("div", { class: "acts" },
      h("button", { type: "button", "aria-label": t("act.of", { act: t("source.refresh"), name }), onclick: ask }, t("source.refresh"))));
}

const skipped = ({ what, why }) => h("li", {}, h("bdi", { class: "name" }, plain(what, 120)), ` ${plain(why)}`);

// What helps is a matter of what is wrong, by its stable word.
function help({ state, error }) {
  const slug = String(error?.type || "").split("/").pop();
  return t(has(`source.help.${slug}`) ? `source.help.${slug}` : `source.help.${state}`);
}

function quota({ of, left, amount, seconds, bucket }, fine) {
  const [have, all] = of === "bytes" ? [size(left), size(amount)] : [number(left), number(amount)];
  const said = t(`quota.${of}`, { have, all, time: duration(seconds) }) + (bucket ? ` (${plain(bucket, 40)})` : "");
  return h("p", { key: `${of} ${bucket} ${seconds}`, class: "quota" },
    h("span", { class: left === 0 && !fine ? "bad" : "dim" }, said),
    h("meter", { min: "0", max: String(amount), value: String(left), "aria-label": said }));
}
