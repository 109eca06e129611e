/** Earlier evaluations: what each found, one to open again, two to compare. */

import { get } from "./client.js";
import { fill, h } from "./dom.js";
import { table } from "./table.js";
import { figure, locale, number, t } from "./words.js";

const SHOWN = 10;

/** The list; `onOpen` is given an evaluation's id, `onCompare` two of them, `onTrouble` what went wrong. */
export class Earlier {
  constructor({ onOpen, onCompare, onTrouble, signal }) {
    Object.assign(this, { onOpen, onCompare, onTrouble, signal });
    this.element = h("section", { class: "earlier" });
    this.shown = SHOWN;
  }

  async show() {
    const { evaluations } = await get("evaluations", { query: { limit: this.shown }, signal: this.signal });
    const every = evaluations.filter((each) => each.kind === "evaluation");
    const picked = new Set();
    const compare = h(
      "button",
      { type: "button", class: "quiet", disabled: true, onclick: () => this.onCompare([...picked]) },
      t("measure.compare"),
    );
    const rows = every.map((each) => this.row(each, picked, compare));
    const more = h("button", { type: "button", class: "quiet", onclick: () => this.more() }, t("measure.more"));
    const columns = ["picked", "when", "found", "which"].map((name) => t(`measure.${name}`));
    fill(
      this.element,
      h("h2", {}, t("measure.earlier")),
      rows.length
        ? [
            table(t("measure.earlier"), columns, rows, { head: -1 }),
            h("div", { class: "row" }, compare, evaluations.length === this.shown ? more : null),
          ]
        : h("p", { class: "hint" }, t("measure.none")),
    );
  }

  row(each, picked, compare) {
    const box = h("input", {
      type: "checkbox",
      "aria-label": t("measure.pick", { id: each.id }),
      disabled: each.status !== "finished",
      onchange: () => {
        if (box.checked) picked.add(each.id);
        else picked.delete(each.id);
        compare.disabled = picked.size !== 2;
      },
    });
    const found = h("span", {}, t(`measure.status.${each.status}`));
    if (each.status === "finished") this.summarise(each.id, found);
    const open = h(
      "button",
      { type: "button", class: "quiet", onclick: () => this.onOpen(each.id).catch(this.onTrouble) },
      h("code", {}, each.id),
    );
    return [box, new Date(each.created).toLocaleString(locale()), found, open];
  }

  /** Say in a line what an evaluation found; that it is finished is said already. */
  async summarise(id, line) {
    const told = await get(`evaluations/${id}`, { signal: this.signal }).catch(() => null);
    if (!told?.metrics) return;
    const [name, score] = Object.entries(told.metrics)[0];
    fill(
      line,
      `${name} ${figure(score.value)}`,
      h(
        "span",
        { class: "fine" },
        `${number(told.generated.count)} · ${told.reference.name ?? t("measure.file")}`,
        told.verdict?.checks?.length ? ` · ${t(told.verdict.passed ? "measure.passed" : "measure.failed")}` : "",
      ),
    );
  }

  more() {
    this.shown += SHOWN;
    this.show().catch(this.onTrouble);
  }
}
