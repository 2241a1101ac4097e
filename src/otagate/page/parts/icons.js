// Small pictures of kinds of devices, drawn here; a kind is guessed from what the model is called.

import { h } from "./dom.js";

const DRAWN = {
  lamp: "M9 18h6m-5 3h4M12 3a6 6 0 0 0-3.6 10.8c.7.6 1.1 1.3 1.1 2.2h5c0-.9.4-1.6 1.1-2.2A6 6 0 0 0 12 3Z",
  socket: "M5 4h14v16H5zM9.5 10v3m5-3v3",
  switch: "M6 3h12v18H6zM9 7h6v5H9z",
  sensor: "M12 12h.01M8.5 15.5a5 5 0 0 1 0-7m7 0a5 5 0 0 1 0 7M5.5 18.5a9 9 0 0 1 0-13m13 0a9 9 0 0 1 0 13",
  blind: "M4 4h16M6 4v12h12V4M6 8h12M6 12h12M12 16v4",
  thermostat: "M10 14V5a2 2 0 1 1 4 0v9a4 4 0 1 1-4 0Z",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  remote: "M8 3h8v18H8zM12 7h.01M12 11h.01M12 15h.01",
  radio: "M12 20v-8m0 0a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM7.5 13.5a6 6 0 0 1 0-8m9 0a6 6 0 0 1 0 8",
  device: "M7 7h10v10H7zM9.5 3v4m5-4v4m-5 10v4m5-4v4M3 9.5h4m-4 5h4m10-5h4m-4 5h4",
  check: "m5 12.5 4.5 4.5L19 7",
  alert: "M12 8v5m0 3.5h.01M12 3 2.5 20h19z",
  clock: "M12 7v5l3.5 2M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Z",
  stop: "M8 3h8l5 5v8l-5 5H8l-5-5V8zM9 9l6 6m0-6-6 6",
};

const KINDS = [
  ["thermostat", /thermo|trv|radiator|heat|temp.*valve/i],
  ["blind", /blind|shutter|shade|curtain|cover|roller/i],
  ["lock", /lock|door.?bolt/i],
  ["remote", /remote|button|scene|wall.?controller/i],
  ["sensor", /sensor|motion|contact|smoke|leak|water|presence|window|climate|detector/i],
  ["socket", /plug|socket|outlet|smart.?plug/i],
  ["switch", /switch|dimmer|relay/i],
  ["lamp", /lamp|light|bulb|led|strip|spot|gu10|e27|e14|a19|a60|lct|lwb|candle|filament|color/i],
];

export function kindOf(device) {
  if (device.node?.controller) return "radio";
  const told = `${device.model || ""} ${device.name || ""}`.slice(0, 200);
  return KINDS.find(([, pattern]) => pattern.test(told))?.[0] || "device";
}

export function icon(name, label) {
  const props = { class: "icon", viewBox: "0 0 24 24", ...(label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" }) };
  return h("svg", props, h("path", { d: DRAWN[name] }));
}
