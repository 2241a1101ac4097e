// What a person orders: sent to the hub, and where the hub refuses, kept until the next order so that the page can say so.

import { act } from "./api.js";
import { t } from "./i18n.js";
import { changed, reload } from "./store.js";

export const orders = { problem: "" };

export async function order(method, path, body) {
  try {
    orders.problem = "";
    await act(method, path, body);
  } catch (error) {
    orders.problem = t("act.failed", { why: error.message });
  }
  changed();
}

export async function halt(halted) {
  await order(halted ? "POST" : "DELETE", "halt", halted ? {} : undefined);
  await reload("halt").catch(() => {});
}

// Said to those who listen to the page instead of looking at it.
export function say(text) {
  document.getElementById("said").textContent = text;
}
