// An order of one update: first the hub says what would happen, and only then it is ordered.

import { act } from "../api.js";
import { plain, t, version } from "../i18n.js";
import { say } from "../orders.js";
import { changed, hub } from "../store.js";
import { ask } from "./dialog.js";
import { h } from "./dom.js";

// `wanted`: { devices, component?, version? } as POST /updates takes it.
export function askToUpdate(name, wanted) {
  const state = { plan: null, problem: "", busy: false };
  ask(t("order.title", { name }), (again, close) => {
    const attempt = async (work) => {
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
    };
    const look = async () => {
      state.plan = await act("POST", "updates", { ...wanted, dry_run: true });
    };
    const go = async () => {
      const made = await act("POST", "updates", { ...wanted, dry_run: false });
      for (const each of made.updates) hub.updates.set(each.id, each);
      if (made.updates.length) {
        say(t("order.ordered", { n: made.updates.length }));
        close();
        changed();
      } else state.plan = made;
    };
    if (!state.plan && !state.problem && !state.busy) attempt(look);
    return { body: told(state), sure: state.plan?.updates.length ? t("order.go") : "", go: () => attempt(go) };
  });
}

function told({ plan, problem }) {
  return [
    problem && h("p", { key: "problem", class: "bad" }, plain(problem)),
    !plan && !problem && h("p", { key: "looking" }, t("order.looking")),
    plan?.updates.map((each) => h("p", { key: each.id }, `${version(each.from_version)} → ${version(each.to_version)}`,
      h("br"), h("span", { class: "dim" }, each.sentence ? plain(each.sentence) : t("order.starts")))),
    plan?.refused.map((each) => h("p", { key: `not ${each.device}`, class: "bad" }, t("order.refused", { why: each.problem.detail }))),
    plan && !plan.updates.length && !plan.refused.length && h("p", { key: "none" }, t("order.none")),
    plan && h("p", { key: "nothing", class: "dim" }, t("order.nothing")),
  ];
}
