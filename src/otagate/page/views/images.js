// Stored images, and a file that is to become one: the hub says what it is before anybody stores it.

import { act, download, readAll } from "../api.js";
import { ago, exact, hex, inFull, plain, size, t } from "../i18n.js";
import { order, say } from "../orders.js";
import { ask } from "../parts/dialog.js";
import { h } from "../parts/dom.js";
import { facts } from "../parts/facts.js";
import { reading } from "../readings.js";
import { changed, FINAL, hub, may } from "../store.js";

const LIST = "images?limit=500";
const chosen = { file: null, told: null, problem: "", busy: false, round: 0 };

export function view() {
  const { data, problem } = reading(LIST, { made_of: hub.images, get: async (path) => ({ items: await readAll(path) }) });
  return { title: t("nav.images"), content: [
    may("operate") && upload(data?.items || []),
    h("section", { key: "stored" }, h("h2", {}, t("images.stored")),
      problem && h("p", { class: "alert", role: "alert" }, plain(problem)),
      data === null ? !problem && h("p", { class: "dim" }, t("loading"))
        : data.items.length ? h("ul", {}, data.items.map(row)) : h("p", { class: "dim" }, t("images.none"))),
  ] };
}

// --- a file that may become an image ----------------------------------------------------------------------------------------------------------

function upload(stored) {
  const { file, told, problem, busy, round } = chosen;
  const take = (event) => event.target.files[0] && look(event.target.files[0]);
  return h("section", { key: "upload" }, h("h2", {}, t("images.add")),
    h("p", { class: "dim", id: "add-more" }, t("images.add.more")),
    h("p", {}, h("label", { for: "file" }, t("images.file"))),
    h("input", { key: `file ${round}`, id: "file", type: "file", "aria-describedby": "add-more", disabled: busy, onchange: take }),
    h("div", { key: "told", role: "status" },
      busy && h("p", {}, t("images.looking")),
      problem && h("p", { class: "bad" }, t("images.refused", { name: file.name, why: problem })),
      told && h("div", { class: "card tall" }, about(told), checks(told),
        h("p", {}, t(stored.some((each) => each.sha256 === told.sha256) ? "images.known" : "images.nothing-yet")))),
    told && h("div", { key: "acts", class: "acts" },
      h("button", { type: "button", class: "sure", disabled: busy, onclick: store }, t("images.store")),
      h("button", { type: "button", onclick: () => leave() }, t("images.leave"))));
}

function look(file) {
  return send(file, "images?dry_run=true", (told) => {
    chosen.told = told;
  });
}

function store() {
  return send(chosen.file, "images", (made) => {
    hub.images += 1;
    leave();
    say(t("images.is-stored", { name: made.file_name }));
  });
}

async function send(file, path, then) {
  const round = chosen.round;
  Object.assign(chosen, { file, told: null, problem: "", busy: true });
  changed();
  const form = new FormData();
  form.append("file", file, plain(file.name, 200).replaceAll("\ufffd", "") || "upload"); // control bytes in a name would spoil the form
  try {
    const answer = await act("POST", path, undefined, { form });
    if (round === chosen.round) then(answer);
  } catch (error) {
    chosen.problem = error.message;
  }
  chosen.busy = false;
  changed();
}

function leave() {
  Object.assign(chosen, { file: null, told: null, problem: "", round: chosen.round + 1 });
  changed();
}

// --- what an image says of itself -------------------------------------------------------------------------------------------------------------

function about(image) {
  const { hardware_min: least, hardware_max: most } = image;
  return facts([
    [t("image.file"), h("bdi", {}, plain(image.file_name, 200))],
    [t("image.version"), versionOf(image)],
    [t("image.manufacturer"), hex(image.manufacturer_code)],
    [t("image.type"), hex(image.image_type)],
    [t("image.hardware"), least === null ? t("image.hardware.any") : t("image.hardware.range", { least, most })],
    [t("image.header"), image.header_string && h("bdi", {}, plain(image.header_string))],
    [t("image.format"), [image.format, image.inner_format].filter(Boolean).join(", ")],
    [t("image.only"), image.destination],
    [t("image.size"), size(image.bytes)],
    [t("image.fits"), t("image.fits.devices", { n: fitting(image) })],
    [t("image.sha256"), h("code", {}, image.sha256)],
  ]);
}

// Bytes for Z-Wave carry no version of their own: their source names it.
const versionOf = ({ file_version: value }) => (value === null ? t("version.unnamed") : inFull(value));

// How many devices here have a component of that manufacturer and type: whether each would take it the hub decides.
function fitting({ manufacturer_code, image_type }) {
  if (image_type === null) return 0;
  const fits = (each) => each.manufacturer_code === manufacturer_code && each.image_type === image_type;
  return [...hub.devices.values()].filter((device) => device.components.some(fits)).length;
}

function checks(image) {
  return h("ul", { class: "plain" }, image.checks.map((each) => h("li", { key: each.name, class: each.result === "fail" ? "bad" : "" },
    h("span", { class: "name" }, `${t(`check.${each.result}`)} · `), plain(`${each.name}: ${each.detail}`))));
}

function row(image) {
  const path = `images/${image.sha256}`;
  const needed = [...hub.updates.values()].filter((each) => each.image === image.sha256 && !FINAL.has(each.state)).length;
  const added = t("image.added", { time: ago(image.added), source: image.source });
  const told = [versionOf(image), size(image.bytes), added];
  const named = (verb) => ({ type: "button", "aria-label": t("act.of", { act: t(verb), name: image.file_name }) });
  return h("li", { key: image.sha256, class: "beside" },
    h("p", {}, h("bdi", { class: "name" }, plain(image.file_name, 120)), " ", h("code", { class: "dim" }, image.sha256.slice(0, 12))),
    h("p", { class: "dim", title: exact(image.added) }, told.filter(Boolean).map((each) => plain(each, 80)).join(" · ")),
    needed > 0 && h("p", {}, t("image.needed", { n: needed })),
    h("details", {}, h("summary", {}, t("image.more")), about(image), checks(image)),
    h("div", { class: "acts" },
      h("button", { key: "save", ...named("image.save"), onclick: () => save(image) }, t("image.save")),
      may("operate") && h("button", { key: "forget", ...named("image.forget"), onclick: () => forget(image, path) }, t("image.forget"))));
}

async function save(image) {
  await download(`images/${image.sha256}/content`, image.file_name).catch((error) => say(t("failed.read", { why: error.message })));
}

function forget(image, path) {
  ask(t("image.forget.ask", { name: image.file_name }), (again, close) => ({
    body: t("image.forget.more"),
    sure: t("image.forget"),
    go: async () => {
      close();
      await order("DELETE", path);
      hub.images += 1;
      changed();
    },
  }));
}
