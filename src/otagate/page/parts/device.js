// What several views say of a device.

import { plain, t } from "../i18n.js";
import { toDevice } from "../router.js";
import { nameOf } from "../store.js";
import { h } from "./dom.js";

export const deviceLink = (id) => h("a", { class: "name", href: toDevice(id) }, h("bdi", {}, plain(nameOf(id), 80)));

// How well a device was heard last: link quality or signal, and the repeaters on the way.
export function heardHow(link) {
  if (!link) return "";
  const told = [
    link.lqi !== null && t("link.quality", { n: link.lqi }),
    link.rssi !== null && t("link.signal", { n: link.rssi }),
    link.repeaters > 0 && t("link.repeaters", { n: link.repeaters }),
  ];
  return told.filter(Boolean).join(" · ");
}

export function power(device) {
  if (device.power === "mains") return t("mains");
  return device.battery_percent === null ? t("battery.unknown") : t("battery", { n: device.battery_percent });
}
