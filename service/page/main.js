/** The shell: contents, language, key, and whichever view the address names. */

import { Refusal, address, base, forgetModels, key } from "./client.js";
import { fill, h } from "./dom.js";
import { notice } from "./notices.js";
import { LANGUAGES, language, preferred, speak, t } from "./words.js";

/** In the order of the book; the chapter each belongs to, and the paper that it is about. */
const VIEWS = {
  draw: {
    chapter: "4",
    paper:
      "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: Gradient-based learning applied to document recognition. Proceedings of the IEEE 86(11), 1998.",
  },
  inside: {
    chapter: "5",
    paper: "M. D. Zeiler, R. Fergus: Visualizing and understanding convolutional networks. ECCV 2014.",
  },
  series: {
    chapter: "6",
    paper:
      "H. Jaeger: The “echo state” approach to analysing and training recurrent neural networks. GMD Report 148, 2001.",
  },
  sample: { chapter: "7", paper: "I. Goodfellow et al.: Generative adversarial nets. NeurIPS 2014." },
  collapse: {
    chapter: "7",
    paper: "L. Metz, B. Poole, D. Pfau, J. Sohl-Dickstein: Unrolled generative adversarial networks. ICLR 2017.",
  },
  measure: {
    chapter: "7",
    paper:
      "M. Heusel et al.: GANs trained by a two time-scale update rule converge to a local Nash equilibrium. NeurIPS 2017.",
  },
  service: {
    chapter: "A",
    paper:
      "D. Crankshaw, X. Wang, G. Zhou, M. J. Franklin, J. E. Gonzalez, I. Stoica: Clipper: a low-latency online prediction serving system. NSDI 2017.",
  },
};
const FIRST = "draw";
const ASK_AGAIN_MS = 3000;

let left = new AbortController();
let watching = 0;
const main = document.getElementById("main");
const alert = document.getElementById("alert");

async function show({ moved = false } = {}) {
  left.abort();
  left = new AbortController();
  const { signal } = left;
  const named = /^#\/(\w+)/.exec(location.hash)?.[1];
  const name = named in VIEWS ? named : FIRST;
  const { chapter, paper } = VIEWS[name];
  showContents(name);
  document.title = `${t(`${name}.title`)} · Chapterhouse`;
  const heading = h("h1", { tabindex: "-1" }, t(`${name}.title`));
  const body = h("div", { class: `view ${name}` });
  fill(
    main,
    h(
      "header",
      { class: "opening" },
      h("p", { class: "folio", "aria-hidden": "true" }, chapter),
      h(
        "div",
        {},
        h("p", { class: "chapter" }, chapter === "A" ? t("appendix") : t("chapter", { chapter })),
        heading,
        h("p", { class: "idea" }, t(`${name}.idea`)),
        h("p", { class: "paper", lang: "en" }, paper),
      ),
    ),
    body,
  );
  if (moved) {
    scrollTo(0, 0);
    heading.focus({ preventScroll: true });
  }
  try {
    const view = await import(`./views/${name}.js`);
    if (!signal.aborted) await view.mount(body, signal);
  } catch (error) {
    if (!signal.aborted)
      fill(
        body,
        notice(error instanceof TypeError ? new Refusal("gone") : error, () => location.reload(), signal) ?? "",
      );
  }
}

function showContents(current) {
  const entries = Object.entries(VIEWS).map(([name, { chapter }]) =>
    h(
      "li",
      {},
      h(
        "a",
        { href: `#/${name}`, "aria-current": name === current ? "page" : null },
        h("span", { class: "number", "aria-hidden": "true" }, chapter),
        t(`${name}.name`),
      ),
    ),
  );
  const contents = document.getElementById("contents");
  contents.setAttribute("aria-label", t("contents"));
  const at = contents.firstElementChild?.scrollLeft ?? 0;
  fill(contents, h("ul", {}, entries));
  contents.firstElementChild.scrollLeft = at;
  const open = contents.querySelector("[aria-current]");
  if (
    open.offsetLeft + open.offsetWidth > contents.firstElementChild.scrollLeft + contents.clientWidth ||
    open.offsetLeft < contents.firstElementChild.scrollLeft
  ) {
    contents.firstElementChild.scrollLeft = open.offsetLeft - 24;
  }
}

function showTools() {
  const other = Object.keys(LANGUAGES).find((each) => each !== language);
  const change = async () => {
    await speak(other, { keep: true }).catch(watch);
    showShell();
    await show();
    document.getElementById("language").focus();
  };
  fill(
    document.getElementById("tools"),
    h(
      "button",
      { type: "button", id: "language", class: "quiet", lang: other === "zh" ? "zh-Hans" : other, onclick: change },
      LANGUAGES[other],
    ),
    keyField(),
  );
}

function keyField() {
  const field = h("input", { id: "key", type: "password", autocomplete: "off", value: key.get(), spellcheck: "false" });
  const use = (event) => {
    event.preventDefault();
    if (field.value.trim()) key.keep(field.value.trim());
    else key.forget();
    forgetModels();
    showTools();
    show();
  };
  const forget = () => {
    field.value = "";
    key.forget();
    forgetModels();
    showTools();
    show();
  };
  return h(
    "details",
    { class: "key", id: "key-panel" },
    h("summary", {}, key.get() ? t("key.kept") : t("key")),
    h(
      "form",
      { onsubmit: use },
      h("label", { for: "key" }, t("key.label")),
      field,
      h("p", { class: "hint" }, t("key.hint")),
      h("button", { type: "submit" }, t("key.use")),
      key.get() && h("button", { type: "button", class: "quiet", onclick: forget }, t("key.forget")),
    ),
  );
}

function showShell() {
  document.getElementById("skip").textContent = t("skip");
  showTools();
  fill(
    document.getElementById("foot"),
    h(
      "p",
      {},
      t("foot"),
      " ",
      h("a", { href: new URL("docs", base).href }, t("foot.docs")),
      " · ",
      h("a", { href: new URL("redoc", base).href }, t("foot.reference")),
      " · ",
      h("code", {}, address),
    ),
  );
}

/** Say that the service does not answer, and look until it does again. */
async function watch() {
  if (watching) return;
  fill(alert, h("p", { class: "gone" }, t("error.gone")));
  watching = setInterval(async () => {
    const reply = await fetch(new URL("health/live", base)).catch(() => null);
    if (reply?.ok) back();
  }, ASK_AGAIN_MS);
}

function back() {
  if (!watching) return;
  clearInterval(watching);
  watching = 0;
  fill(alert);
}

document.addEventListener("answered", back);
document.addEventListener("refused", ({ detail }) => {
  if (detail.kind === "gone") watch();
  if (detail.kind === "key") {
    document.getElementById("key-panel").open = true;
    document.getElementById("key").focus();
  }
});
document.getElementById("skip").addEventListener("click", () => main.focus());
addEventListener("hashchange", () => show({ moved: true }));

await speak(preferred());
showShell();
await show();
