// The page: signs in, keeps what the hub tells, and draws the view that the address names.

import { findToken, keepToken } from "./api.js";
import { ago, plain, t } from "./i18n.js";
import { orders, say } from "./orders.js";
import { h, render } from "./parts/dom.js";
import { here } from "./router.js";
import { hub, nameOf, open, watch } from "./store.js";
import { device } from "./views/device.js";
import { home } from "./views/home.js";

const app = document.getElementById("app");
const VIEWS = { home, device };

function draw() {
  const { name, id } = here();
  const { title, content } = (Object.hasOwn(VIEWS, name) ? VIEWS[name] : home)(id);
  document.title = `${title} – otagate`;
  render(app, h("main", { key: `${name} ${id}` }, h("h1", { tabindex: "-1" }, title),
    hub.line.open ? null : h("p", { key: "line", class: "alert", role: "alert" }, t("line.lost", { time: ago(hub.line.heard) })),
    orders.problem && h("p", { key: "problem", class: "alert", role: "alert" }, plain(orders.problem)),
    content));
}

function turn() {
  findToken();
  if (!hub.ready) return;
  orders.problem = "";
  draw();
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

function told(type, data) {
  if (type === "update" && data.fact && data.state) say(t("said.state", { name: nameOf(data.device), state: t(`state.${data.state}`) }));
}

async function start() {
  try {
    await open({ signal: new AbortController().signal, refused: () => signIn(t("sign-in.wrong")), told });
    watch(draw);
    draw();
  } catch (error) {
    signIn(error.status === 401 ? t("sign-in.wrong") : t("sign-in.unreachable", { why: error.message }));
  }
}

findToken() ? start() : signIn("");
addEventListener("hashchange", turn);
setInterval(() => hub.ready && !hub.line.open && draw(), 5000);
