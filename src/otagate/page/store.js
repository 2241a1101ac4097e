// What the hub told, kept fresh by its events. Views read `hub`; whoever called `watch` is told at most once a frame that something changed.

import { read, readAll } from "./api.js";
import { follow } from "./events.js";

const UNFINISHED = "planned,queued,fetching,offering,transferring,staged,activating,confirming";
export const FINAL = new Set(["succeeded", "failed", "cancelled", "superseded"]);
const RECENT = 100;
const SAMPLES = 240;

export const hub = {
  ready: false,
  devices: new Map(),
  updates: new Map(),
  rates: new Map(), // update → [{ at, rate }], as long as the page is open
  moved: new Map(), // update → { sent, at }: since when nothing more was sent
  radios: [],
  sources: [],
  rollouts: [],
  halt: { halted: false },
  caller: { actor: "", scopes: [] },
  line: { open: false, heard: null, since: Date.now() },
  images: 0, // how often one came or went: their list is read by the view that shows it
  facts: 0, // how many events were told: views that read lists of their own look again when it changes
};

const watchers = new Set();
let due = false;

export function watch(call) {
  watchers.add(call);
}

export function changed() {
  if (due) return;
  due = true;
  const tell = () => {
    due = false;
    for (const each of watchers) each();
  };
  document.hidden ? setTimeout(tell, 500) : requestAnimationFrame(tell);
}

export async function open({ signal, refused, told }) {
  const [newest] = (await read("journal?limit=1")).items; // read first: what happens while the lists are read is told again as events
  await load();
  follow({
    last: String(newest?.number ?? 0),
    signal,
    refused,
    news: (type, data, id) => {
      take(type, data, id);
      told(type, data);
    },
    state: ({ open: is_open }) => {
      if (is_open !== hub.line.open) hub.line.since = Date.now();
      hub.line.open = is_open;
      if (is_open) hub.line.heard = Date.now();
      changed();
    },
  });
}

// Read everything anew. The plan is a forecast and changes with the time: views that show it read it again themselves.
async function load() {
  const [devices, running, ended, ...rest] = await Promise.all([
    readAll("devices?limit=500"),
    readAll(`updates?limit=500&state=${UNFINISHED}`),
    read(`updates?limit=${RECENT}&state=${[...FINAL]}`).then((page) => page.items),
    ...["radios", "sources", "rollouts"].map((noun) => read(noun).then((page) => page.items)),
    read("halt"),
    read("caller"),
  ]);
  hub.devices = new Map(devices.map((each) => [each.id, each]));
  hub.updates = new Map([...ended, ...running].map((each) => [each.id, each]));
  for (const each of running) noteMove(each);
  [hub.radios, hub.sources, hub.rollouts, hub.halt, hub.caller] = rest;
  hub.ready = true;
  hub.facts += 1;
  hub.images += 1;
  hub.line.heard = Date.now();
  changed();
}

export async function reload(noun) {
  if (noun === "halt") hub.halt = await read("halt");
  else hub[noun] = (await read(noun)).items;
  changed();
}

function take(type, data, id) {
  if (id) hub.facts += 1;
  const { fact, ...subject } = data;
  const gone = Object.keys(subject).length === 1;
  if (type === "device") put(hub.devices, subject, gone);
  else if (type === "update") takeUpdate(subject, gone);
  else if (type === "radio") hub.radios = replaced(hub.radios, subject, "name", gone);
  else if (type === "source") hub.sources = replaced(hub.sources, subject, "name", gone);
  else if (type === "rollout") hub.rollouts = replaced(hub.rollouts, subject, "id", gone);
  else if (type === "image") hub.images += 1;
  else if (type === "hub") fact?.kind === "forgotten" ? load() : reload("halt");
  changed();
}

function put(map, subject, gone) {
  if (gone) map.delete(subject.id);
  else map.set(subject.id, subject);
}

function takeUpdate(update, gone) {
  put(hub.updates, update, gone);
  if (gone || FINAL.has(update.state)) {
    hub.rates.delete(update.id);
    hub.moved.delete(update.id);
  } else noteMove(update);
  if (!gone) refreshDevice(update.device, update.state);
}

function noteMove({ id, progress: { bytes_sent: sent, bytes_per_second: rate } }) {
  if (hub.moved.get(id)?.sent !== sent) hub.moved.set(id, { sent, at: Date.now() });
  if (rate === null) return;
  const samples = hub.rates.get(id) || [];
  samples.push({ at: Date.now(), rate });
  hub.rates.set(id, samples.length < SAMPLES ? samples : samples.filter((each, place) => place % 2)); // the whole way, ever more coarsely
}

// An update's event tells nothing of its device: its state there is read once the update moved on.
const asked = new Map();
function refreshDevice(id, state) {
  if (asked.get(id) === state) return;
  asked.set(id, state);
  read(`devices/${encodeURIComponent(id)}`).then((device) => {
    hub.devices.set(id, device);
    changed();
  }, () => {});
}

function replaced(list, subject, key, gone) {
  const others = list.filter((each) => each[key] !== (subject[key] ?? subject.id));
  if (gone) return others;
  const at = list.findIndex((each) => each[key] === subject[key]);
  if (at < 0) return key === "id" ? [subject, ...list] : [...list, subject];
  return list.map((each, i) => (i === at ? subject : each));
}

// --- what views ask ---------------------------------------------------------------------------------------------------------------------------

// Whether the token that this page holds may do what wants this scope.
export const may = (scope) => hub.caller.scopes.includes(scope) || hub.caller.scopes.includes("admin");

export function updates() {
  return [...hub.updates.values()].sort((a, b) => (a.id < b.id ? 1 : -1));
}

// The update of a device that has not ended, else the last one that has.
export function updateOf(device) {
  for (const component of device.components) {
    const update = component.update && hub.updates.get(component.update);
    if (update && !FINAL.has(update.state)) return update;
  }
  let last = null;
  for (const each of hub.updates.values()) if (each.device === device.id && (!last || each.id > last.id)) last = each;
  return last;
}

export function nameOf(device_id) {
  const device = hub.devices.get(device_id);
  return device?.name || device?.model || device_id;
}
