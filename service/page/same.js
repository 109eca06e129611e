/** The same by other means: what a view has done, as lines for a shell, for Python and for the command. */

import { address } from "./client.js";
import { fill, h, say } from "./dom.js";
import { t } from "./words.js";

const WAYS = { curl: "curl", python: "Python", command: "chapterhouse" };

let texts = null;
let chosen = "curl";

/** The panel of a view; `values` names what stands between braces in recipes.json. */
export function same(view, values) {
  const code = h("code", {});
  const block = h(
    "pre",
    { tabindex: "0", id: "same-code", role: "tabpanel", "aria-labelledby": `same-${chosen}` },
    code,
  );
  const tabs = Object.entries(WAYS).map(([way, name]) =>
    h(
      "button",
      {
        type: "button",
        role: "tab",
        id: `same-${way}`,
        "aria-controls": "same-code",
        onclick: () => choose(way),
        onkeydown: (event) => step(event, way),
      },
      name,
    ),
  );
  const copy = h("button", { type: "button", class: "quiet copy", onclick: () => copyText(code) }, t("same.copy"));
  const element = h(
    "section",
    { class: "same" },
    h("h2", {}, t("same")),
    h("div", { class: "tabs" }, h("div", { role: "tablist", "aria-label": t("same") }, tabs), copy),
    block,
  );
  let current = values;

  async function show() {
    texts ??= await (await fetch(new URL("recipes.json", import.meta.url))).json();
    const lines = texts[view][chosen];
    code.textContent = lines
      .join("\n")
      .replace(/\{(\w+)\}/g, (whole, name) => ({ url: address, ...current })[name] ?? whole);
    for (const [at, way] of Object.keys(WAYS).entries()) {
      tabs[at].setAttribute("aria-selected", String(way === chosen));
      tabs[at].tabIndex = way === chosen ? 0 : -1;
    }
    block.setAttribute("aria-labelledby", `same-${chosen}`);
  }

  function choose(way) {
    chosen = way;
    show();
  }

  function step(event, way) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const ways = Object.keys(WAYS);
    const next = (ways.indexOf(way) + by + ways.length) % ways.length;
    choose(ways[next]);
    tabs[next].focus();
  }

  show();
  return {
    element,
    /** Other values, after something else was asked. */
    update(changed) {
      current = { ...current, ...changed };
      show();
    },
  };
}

async function copyText(code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    say(t("same.copied"));
  } catch {
    getSelection().selectAllChildren(code); // a page that came by plain http may not write there
    say(t("same.selected"));
  }
}

/** The parts that a view fills again and again. */
export function place(attributes = {}) {
  const element = h("div", attributes);
  return { element, show: (...children) => fill(element, ...children) };
}
