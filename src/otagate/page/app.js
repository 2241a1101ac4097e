// The page: signs in, keeps what the hub tells, and draws the view that the address names.

import { findToken, keepToken } from "./api.js";
import { ago, plain, t } from "./i18n.js";
import { orders, say } from "./orders.js";
import { h, render } from "./parts/dom.js";
import { here, to, VIEWS } from "./router.js";
import { hub, nameOf, open, watch } from "./store.js";

const app = document.getElementById("app");
const loaded = new Map(); // name → its module, or the error that came instead

function draw() {
  const { name, id } = here();
  const { title, content } = shown(name, id);
  const focused = document.activeElement;
  document.title = `${title} – otagate`;
  render(app,
    h("a", { key: "skip", class: "skip", href: "#main", onclick: skip }, t("skip")),
    navigation(name),
    h("main", { key: `${name} ${id}`, id: "main" }, h("h1", { tabindex: "-1" }, title),
      hub.line.open ? null : h("p", { key: "line", class: "alert", role: "alert" }, t("line.lost", { time: ago(hub.line.heard) })),
      hub.halt.halted && h("p", { key: "halted", class: "alert", role: "alert" },
        t("halted", { time: ago(hub.halt.since), actor: hub.halt.actor || "" })),
      orders.problem && h("p", { key: "problem", class: "alert", role: "alert" }, plain(orders.problem)),
      content));
  if (!focused.isConnected) app.querySelector("h1").focus(); // what was pressed is gone: the keyboard goes on from the top, not from nowhere
}

function shown(name, id) {
  const found = loaded.get(name);
  if (!found) return { title: t("loading"), content: null };
  if (found.view) return found.view(id);
  return { title: t("page.unread"), content: [
    h("p", { class: "bad" }, t("page.unread.more")),
    h("div", { class: "acts" }, h("button", { type: "button", class: "sure", onclick: () => location.reload() }, t("page.reload"))),
  ] };
}

function navigation(name) {
  const place = VIEWS[name].under || name;
  const places = Object.keys(VIEWS).filter((each) => VIEWS[each].nav);
  return h("nav", { key: "nav", "aria-label": t("nav") }, places.map((each) =>
    h("a", { key: each, href: to(each), ...(each === place ? { "aria-current": "page" } : {}) }, t(`nav.${each}`))));
}

// The hash belongs to the router: the link moves the focus itself.
function skip(event) {
  event.preventDefault();
  app.querySelector("h1").focus();
}

async function load(name) {
  if (loaded.get(name)?.view) return;
  loaded.set(name, await VIEWS[name].load().catch((error) => ({ error })));
}

async function turn() {
  const token = findToken();
  if (!hub.ready) return token && document.getElementById("token") && start(); // an address with a token, where the page had asked for one
  orders.problem = "";
  const { name } = here();
  await load(name);
  if (here().name !== name) return; // gone elsewhere meanwhile
  draw();
  app.querySelector("nav [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
  app.querySelector("h1").focus();
  scrollTo(0, 0);
}

function signIn(why) {
  const go = (event) => {
    event.preventDefault();
    keepToken(document.getElementById("token").value.trim());
    start();
  };
  render(app, h("main", {}, h("h1", {}, t("sign-in")), h("p", {}, t("sign-in.why")),
    why ? h("p", { class: "alert", role: "alert" }, plain(why)) : null,
    h("p", {}, t("sign-in.file")),
    h("form", { onsubmit: go },
      h("label", { for: "token" }, t("sign-in.token")), h("input", { id: "token", type: "password", autocomplete: "off", required: true }),
      h("button", {}, t("sign-in.go")))));
}

// Every change of state is said; of the update that is looked at, also each tenth of the way.
const tenths = new Map();
function told(type, { fact, state, id, device, progress }) {
  if (type !== "update" || !state) return;
  const tenth = Math.floor(progress.percent / 10) * 10;
  if (fact) say(t("said.state", { name: nameOf(device), state: t(`state.${state}`) }));
  if (here().name !== "update" || here().id !== id) return;
  if (!fact && tenth > (tenths.get(id) ?? tenth)) say(t("said.percent", { name: nameOf(device), n: tenth }));
  tenths.set(id, tenth);
}

async function start() {
  try {
    const opened = open({ signal: new AbortController().signal, refused: () => signIn(t("sign-in.wrong")), told });
    await Promise.all([opened, load(here().name)]);
    watch(draw);
    draw();
  } catch (error) {
    signIn(error.status === 401 ? t("sign-in.wrong") : t("sign-in.unreachable", { why: error.message }));
  }
}

findToken() ? start() : signIn("");
addEventListener("hashchange", turn);
setInterval(() => hub.ready && draw(), 5000); // "2 min ago" is soon wrong
