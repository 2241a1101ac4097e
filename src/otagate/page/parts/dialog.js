// A question in front of the page. Escape and the first button, which has the focus, leave everything as it is.

import { t } from "../i18n.js";
import { h, render } from "./dom.js";

// `paint(again, close)` describes what stands below the title: { body, sure, go }, the last two only once there is something to agree to.
export function ask(title, paint) {
  const element = document.createElement("dialog");
  element.setAttribute("aria-labelledby", "asked");
  const close = () => element.close();
  const again = () => {
    const { body, sure, go } = paint(again, close);
    render(element, h("h2", { id: "asked" }, title), h("div", { role: "status" }, body),
      h("div", { class: "acts" }, h("button", { type: "button", autofocus: true, onclick: close }, t("back")),
        sure && h("button", { type: "button", class: "sure", onclick: go }, sure)));
  };
  element.addEventListener("close", () => element.remove());
  document.body.append(element);
  again();
  element.showModal();
}
