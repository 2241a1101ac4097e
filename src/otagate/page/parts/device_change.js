// What a person says of a device: how it is called, where it is, and which releases it takes. Nothing is sent before it is agreed to.

import { act } from "../api.js";
import { plain, t, version } from "../i18n.js";
import { changed, hub, nameOf } from "../store.js";
import { ask, attempts } from "./dialog.js";
import { h } from "./dom.js";

const MODES = ["rules", "automatic", "ask", "never"];

export function askToChange(device) {
  const trying = attempts();
  const wish = {
    name: device.name, room: device.room || "", groups: device.groups.join(", "),
    pin: JSON.stringify(device.pin), mode: device.policy?.default || "rules", because: "",
  };
  ask(t("device.change.title", { name: nameOf(device.id) }), (again, close) => {
    const change = (changes) => {
      Object.assign(wish, changes);
      again();
    };
    const go = () => trying.run(async () => {
      await amend(device, changes(device, wish));
      close();
    }, again);
    return { form: form(device, wish, change), body: trying.problem && h("p", { class: "bad" }, plain(trying.problem)), sure: t("device.keep"), go };
  });
}

// Have the hub keep what was said, and show it at once.
export async function amend(device, body) {
  hub.devices.set(device.id, await act("PATCH", `devices/${encodeURIComponent(device.id)}`, body));
  changed();
}

// Only what is different from before is sent: somebody else may have changed the rest meanwhile.
function changes(device, { name, room, groups, pin, mode, because }) {
  const list = groups.split(",").map((each) => each.trim()).filter(Boolean);
  return {
    ...(name === device.name ? {} : { name }),
    ...(room === (device.room || "") ? {} : { room }),
    ...(list.join() === device.groups.join() ? {} : { groups: list }),
    ...(pin === JSON.stringify(device.pin) ? {} : { pin: JSON.parse(pin) }),
    ...(mode === (device.policy?.default || "rules") ? {} : { policy: { default: mode === "rules" ? null : mode } }),
    ...(because.trim() ? { because: because.trim() } : {}),
  };
}

function form(device, wish, change) {
  const text = (key, label, most) => h("label", { key }, label,
    h("input", { type: "text", maxlength: String(most), value: wish[key], oninput: (event) => change({ [key]: event.target.value }) }));
  const pick = (key, label, choices) => h("label", { key }, label,
    h("select", { value: wish[key], onchange: (event) => change({ [key]: event.target.value }) },
      choices.map(([value, says]) => h("option", { key: value, value }, says))));
  return h("div", { class: "options" },
    text("name", t("device.name"), 128), text("room", t("device.room"), 128), text("groups", t("device.groups"), 500),
    pick("mode", t("device.policy"), MODES.map((each) => [each, t(`device.policy.${each}`)])),
    pick("pin", t("device.pin"), versions(device).map((each) => [JSON.stringify(each), each === null ? t("device.pin.none") : version(each)])),
    text("because", t("order.because"), 500));
}

// None, what it is pinned to, what runs and what is new.
function versions({ pin, components }) {
  return [...new Set([null, pin, ...components.flatMap((each) => [each.version, each.available?.version])].filter((each) => each !== undefined))];
}
