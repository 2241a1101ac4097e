// What happened and who did it: the journal, filtered; the updates that ended as a file; and whether anybody changed what was written.

import { act, download, query, read } from "../api.js";
import { dots, keys, plain, t } from "../i18n.js";
import { attempts } from "../parts/dialog.js";
import { h } from "../parts/dom.js";
import { kind, time } from "../parts/facts.js";
import { unread } from "../parts/unread.js";
import { reading } from "../readings.js";
import { filter, here, to, toDevice } from "../router.js";
import { changed, hub, nameOf } from "../store.js";

const SUBJECTS = ["device", "update", "rollout", "radio", "source", "image", "hub"];
const KINDS = keys("kind.").sort((a, b) => kind(a).localeCompare(kind(b)));
const FIELDS = ["subject", "kind", "actor", "id", "since", "until"];
const DATES = new Set(["since", "until"]);
const trying = attempts();
const reporting = Object.assign(attempts(), { month: new Date().toISOString().slice(0, 7) });
let seen = { path: "", page: null, facts: new Map(), cursor: null };
let chain = null;

export function view() {
  const asked = here().query;
  const path = `journal${wanted(asked)}`;
  const found = reading(path, { made_of: hub.facts });
  return { title: t("nav.history"), content: [filters(asked), files(asked), report(), lines(path, found)] };
}

// The query that the filters mean: a day is from its midnight here to just before the next.
function wanted(asked, fields = FIELDS, more = {}) {
  const moment = (name) => {
    const at = new Date(`${asked[name]}T00:00:00`);
    if (Number.isNaN(at.getTime())) return "";
    if (name === "until") at.setHours(23, 59, 59, 999);
    return at.toISOString();
  };
  return query({ ...more, ...Object.fromEntries(fields.map((name) => [name, asked[name] && DATES.has(name) ? moment(name) : asked[name]?.trim()])) });
}

function filters(asked) {
  const by = (name) => (event) => {
    filter({ [name]: event.target.value });
    changed();
  };
  const text = (name, type = "search") => h("label", { key: name }, t(`history.${name}`),
    h("input", { type, value: asked[name] || "", maxlength: "128", onchange: by(name) }));
  return h("section", { key: "filters", class: "filters fields", role: "search", "aria-label": t("history.filters") },
    h("label", {}, t("history.subject"), h("select", { value: asked.subject || "", onchange: by("subject") },
      h("option", { value: "" }, t("history.everything")), SUBJECTS.map((each) => h("option", { key: each, value: each }, t(`subject.${each}`))))),
    h("label", {}, t("history.kind"), h("select", { value: asked.kind || "", onchange: by("kind") },
      h("option", { value: "" }, t("history.everything")), KINDS.map((each) => h("option", { key: each, value: each }, kind(each))))),
    text("actor"), text("id"), text("since", "date"), text("until", "date"));
}

function files(asked) {
  const device = hub.devices.has(asked.id) ? asked.id : "";
  const path = (format) => `audit${wanted(asked, ["actor", "since", "until"], { format, device })}`;
  const save = (format) => () => trying.run(() => download(path(format), `otagate-audit.${format}`), changed);
  const verify = () => trying.run(async () => {
    chain = null;
    chain = await act("GET", "audit/verify");
  }, changed);
  return h("section", { key: "files" },
    h("div", { class: "acts" },
      h("button", { type: "button", onclick: save("csv") }, t("history.csv")),
      h("button", { type: "button", onclick: save("jsonl") }, t("history.jsonl")),
      h("button", { type: "button", onclick: verify }, t("history.verify"))),
    h("p", { class: "dim" }, t("history.files.more")),
    trying.problem && h("p", { key: "bad", class: "alert", role: "alert" }, plain(trying.problem)),
    h("p", { role: "status", class: chain && !chain.holds ? "bad" : "" }, chain ? verdict(chain) : ""));
}

// What whoever owns the house wants to see of a month: sealed, so that nobody can have changed it since.
function report() {
  const key = reading("report/key").data?.key;
  const save = (format) => () => reporting.run(
    () => download(`report${query({ month: reporting.month, format })}`, `otagate-report-${reporting.month}.${format}`), changed);
  const choose = (event) => {
    reporting.month = event.target.value;
    changed();
  };
  const off = !/^20\d\d-(0[1-9]|1[0-2])$/.test(reporting.month);
  return h("details", { key: "report" }, h("summary", {}, t("report")), h("p", { class: "dim" }, t("report.more")),
    h("div", { class: "acts" },
      h("label", { class: "beside-it" }, t("report.month"), h("input", { type: "month", value: reporting.month, onchange: choose })),
      h("button", { type: "button", disabled: off, onclick: save("html") }, t("report.html")),
      h("button", { type: "button", disabled: off, onclick: save("csv") }, t("report.csv"))),
    key && h("p", { key: "key", class: "dim" }, t("report.key"), " ", h("code", {}, plain(key))),
    reporting.problem && h("p", { key: "bad", class: "alert", role: "alert" }, plain(reporting.problem)));
}

const verdict = ({ sentence, last, chain: link }) => t("history.chain", { sentence, last: String(last), chain: link.slice(0, 16) });

// The newest page, put to what was read before where they meet; where so much happened meanwhile that they do not, it is begun anew.
function gather(path, page) {
  if (seen.path !== path) seen = { path, page: null, facts: new Map(), cursor: null };
  if (!page || page === seen.page) return;
  if (!page.items.some((each) => seen.facts.has(each.number))) {
    seen.facts.clear();
    seen.cursor = page.next_cursor;
  }
  seen.page = page;
  keep(page);
}

const keep = (page) => page.items.forEach((each) => seen.facts.set(each.number, each));

function lines(path, found) {
  gather(path, found.data);
  const more = () => trying.run(async () => {
    const page = await read(`${path}${path.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(seen.cursor)}`);
    if (seen.path !== path) return;
    keep(page);
    seen.cursor = page.next_cursor;
  }, changed);
  const items = [...seen.facts.values()].sort((a, b) => b.number - a.number);
  return h("section", { key: "lines" }, h("h2", {}, t("history.lines")),
    unread(found),
    found.data && (items.length ? h("ol", { class: "lines" }, items.map(fact)) : h("p", { class: "dim" }, t("history.none"))),
    seen.cursor && h("p", { key: "more" }, h("button", { type: "button", onclick: more }, t("history.more"))));
}

function fact({ number, at, subject, subject_id, kind: word, actor, data }) {
  const told = [data.detail || data.sentence, data.reason && t(`reason.${data.reason}`), data.because && t("history.because", { why: data.because })];
  const shown = dots(told.map((each) => each && plain(each)));
  return h("li", { key: number }, time(at), " ", h("strong", {}, kind(word)), " ", about(subject, subject_id, data),
    actor === "otagate" ? "" : h("span", { class: "dim" }, ` ${t("update.by", { actor })}`),
    shown && h("p", { class: "dim" }, shown));
}

function about(subject, id, data) {
  const name = (text) => h("bdi", {}, plain(text, 80));
  if (subject === "device") return h("a", { href: toDevice(id) }, name(nameOf(id)));
  if (subject === "update") return h("a", { href: to("update", id) }, t("subject.update.of"), " ", name(data.device ? nameOf(data.device) : id));
  if (subject === "rollout") return h("a", { href: to("rollouts", id) }, name(hub.rollouts.find((each) => each.id === id)?.name || id));
  return subject === "hub" ? t("subject.hub") : h("span", {}, `${t(`subject.one.${subject}`)} `, name(subject === "image" ? id.slice(0, 16) : id));
}
