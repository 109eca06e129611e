/** Tables: rows and columns where there is room; on a phone each row is a block whose values bear their columns' names. */

import { h } from "./dom.js";

/** `rows` are lists of what the cells hold; the cell at `head` names its row, and none does where that is −1. */
export function table(label, columns, rows, { head = 0 } = {}) {
  const names = columns.map((column) => (typeof column === "string" ? column : column.textContent));
  const cell = (content, at) =>
    at === head ? h("th", { scope: "row" }, content) : h("td", { "data-name": names[at] }, content);
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          columns.map((column) => h("th", { scope: "col" }, column)),
        ),
      ),
      h(
        "tbody",
        {},
        rows.map((cells) => h("tr", {}, cells.map(cell))),
      ),
    ),
  );
}
