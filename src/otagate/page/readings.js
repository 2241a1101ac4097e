// What only one view shows: read when it first asks for it, and again once what it depends on has changed. What was read stays
// until the new has come.

import { read } from "./api.js";
import { t } from "./i18n.js";
import { changed } from "./store.js";

const MOST = 30;
const BREATH = 1000; // between two readings of the same, however fast what it depends on changes
const REST = 10; // times what the last reading took, so that what is much work for the hub is asked for seldom
const RETRY = 10000;
const kept = new Map();

// `{ data, problem, at }` of `GET /api/v1/<path>`: `data` is null until it was read, `problem` a sentence where it could not be read last, and `at`
// when it was. `made_of` is anything that turns into text; `every` are milliseconds after which it is read again while a view asks for it.
// `get` reads
// in another way than by one call.
export function reading(path, { made_of = "", every = Infinity, breath = BREATH, get = read } = {}) {
  const depends = JSON.stringify(made_of);
  const found = kept.get(path) || { data: null, problem: "", at: 0, tried: 0, depends: null, busy: false, due: 0, took: 0 };
  kept.delete(path);
  kept.set(path, found); // the ones asked for last stay
  if (kept.size > MOST) kept.delete(kept.keys().next().value);
  const since = Date.now() - found.tried;
  const rest = Math.max(breath, REST * found.took);
  const patience = found.problem ? Math.min(every, RETRY) : every;
  if (found.busy || (found.depends === depends && since < patience)) return found;
  if (since >= rest) look(path, found, depends, get);
  else found.due ||= setTimeout(() => {
    found.due = 0;
    changed();
  }, rest - since);
  return found;
}

async function look(path, found, depends, get) {
  Object.assign(found, { busy: true, tried: Date.now(), depends });
  try {
    found.data = await get(path);
    found.at = Date.now();
    found.problem = "";
  } catch (error) {
    found.problem = t("failed.read", { why: error.message });
  }
  found.busy = false;
  found.took = Date.now() - found.tried;
  changed();
}
