// What several views say of a device.

import { plain, t } from "../i18n.js";
import { toDevice } from "../router.js";
import { nameOf } from "../store.js";
import { h } from "./dom.js";

export const deviceLink = (id) => h("a", { class: "name", href: toDevice(id) }, h("bdi", {}, plain(nameOf(id), 80)));

export function power(device) {
  if (device.power === "mains") return t("mains");
  return device.battery_percent === null ? t("battery.unknown") : t("battery", { n: device.battery_percent });
}
