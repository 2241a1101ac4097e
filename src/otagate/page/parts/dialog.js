// A question in front of the page. Escape and the first button, which has the focus, leave everything as it is.

import { t } from "../i18n.js";
import { h, render } from "./dom.js";

// `paint(again, close)` describes what stands below the title: { form, body, sure, go }. What changes in `body` is read out, `form` is what a person
// fills in, the last two are there only once there is something to agree to.
export function ask(title, paint) {
  const element = document.createElement("dialog");
  element.setAttribute("aria-labelledby", "asked");
  const close = () => element.close();
  const again = () => {
    const { form, body, sure, go } = paint(again, close);
    render(element, h("h2", { id: "asked" }, title), h("div", {}, form), h("div", { role: "status" }, body),
      h("div", { class: "acts" }, h("button", { type: "button", autofocus: true, onclick: close }, t("back")),
        sure && h("button", { type: "button", class: "sure", onclick: go }, sure)));
  };
  element.addEventListener("close", () => element.remove());
  document.body.append(element);
  again();
  element.showModal();
}

// What a dialog has the hub do, one thing at a time: `problem` is the sentence where the last was refused, `busy` while one is under way.
export function attempts() {
  const state = { busy: false, problem: "", run };
  async function run(work, again) {
    if (state.busy) return;
    state.busy = true;
    try {
      await work();
      state.problem = "";
    } catch (error) {
      state.problem = t("act.failed", { why: error.message });
    }
    state.busy = false;
    again();
  }
  return state;
}
