// What stands where something could not be read: why, and of when it is what is still shown.

import { plain, t, when } from "../i18n.js";
import { h } from "./dom.js";

// For a reading (`readings.js`): null where all is well, a word of patience where it has not been read yet, else the problem.
export function unread({ data, problem, at }, waiting = t("loading")) {
  if (problem) return h("p", { key: "unread", class: "alert", role: "alert" }, plain(problem), at ? ` ${t("stale", { time: when(at) })}` : "");
  return data ? null : h("p", { key: "unread", class: "dim" }, waiting);
}
