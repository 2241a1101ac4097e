// Names with their values, and lines of the journal.

import { exact, has, plain, t, when } from "../i18n.js";
import { h } from "./dom.js";

const LONG = 40; // characters

// Pairs of a name and what stands beside it, text or an element; those without a value are left out.
export function facts(pairs) {
  return h("dl", { key: "facts" }, pairs.filter(([, value]) => value || value === 0).map(([name, value]) =>
    h("div", { key: name, class: typeof value === "string" && value.length > LONG ? "wide" : "" },
      h("dt", {}, name), h("dd", {}, typeof value === "object" ? value : plain(value)))));
}

export const time = (moment) => h("time", { datetime: moment, title: exact(moment) }, when(moment));

// What a word of the journal means; one without a sentence is shown as it is.
export const kind = (word) => (has(`kind.${word}`) ? t(`kind.${word}`) : plain(word, 60).replaceAll("_", " "));
