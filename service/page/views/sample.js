/** Sample every system by one seed, side by side; and walk from one sample to the next. */

import { models, post } from "../client.js";
import { fill, h, say } from "../dom.js";
import { nameOf } from "../names.js";
import { notice } from "../notices.js";
import { readImages } from "../pixels.js";
import { same } from "../same.js";
import { figure, number, t } from "../words.js";

const COUNT = 16;
const STEPS = 25;
const PATHS = 4;
const LARGEST = 2 ** 31 - 1;
const SETS = { mnist: "sample.digits", "stacked-mnist": "sample.stacked", "cifar-10": "sample.photographs" };

/** The oldest first, and each beside its kin. */
const ORDER = ["gan", "gan-minimax", "wgan", "wgan-gp", "unrolled", "dragan", "ebgan", "madgan", "minibatch", "pacgan"];

let seed = 1;
let set = "mnist";
let walked = null;

export async function mount(root, signal) {
  const wall = h("div", { class: "wall" });
  const walk = h("section", { class: "walk" });
  const field = h("input", {
    id: "seed",
    type: "number",
    min: 0,
    max: LARGEST,
    step: 1,
    value: seed,
    onchange: () => draw(Number(field.value)),
  });
  const choice = h("select", { id: "set", onchange: () => choose(choice.value) });
  const recipe = same("sample", { generator: "gan-mnist", seed, count: COUNT, steps: STEPS });
  fill(
    root,
    h(
      "div",
      { class: "row bar" },
      h("label", { for: "seed" }, t("sample.seed")),
      field,
      h("button", { type: "button", onclick: () => draw(Math.floor(Math.random() * LARGEST)) }, t("sample.roll")),
      h("div", { class: "pair" }, h("label", { for: "set" }, t("sample.of")), choice),
    ),
    h("p", { class: "hint" }, t("sample.hint")),
    wall,
    walk,
    recipe.element,
  );

  let every;
  try {
    every = (await models({ signal })).filter((model) => model.task === "generate" && model.output);
  } catch (error) {
    fill(wall, notice(error, () => mount(root, signal), signal) ?? "");
    return;
  }
  const sets = [...new Set(every.map((model) => model.dataset))];
  fill(
    choice,
    sets.map((name) => h("option", { value: name, selected: name === set }, SETS[name] ? t(SETS[name]) : name)),
  );
  show();

  function known() {
    return every.filter((model) => model.dataset === set).toSorted((one, other) => place(one) - place(other));
  }

  function choose(name) {
    set = name;
    walked = null;
    show();
  }

  function draw(wanted) {
    seed = Math.min(LARGEST, Math.max(0, Math.floor(wanted) || 0));
    field.value = seed;
    show();
  }

  async function show() {
    const systems = known();
    walked = systems.some((model) => model.id === walked) ? walked : systems[0].id;
    recipe.update({ generator: walked, seed });
    fill(
      wall,
      systems.map((model) => system(model, { signal, onWalk: () => begin(model.id) })),
    );
    say(t("sample.drawing", { count: systems.length, seed: number(seed) }));
    await begin(walked, { still: true });
  }

  async function begin(id, { still = false } = {}) {
    walked = id;
    recipe.update({ generator: id, seed });
    for (const card of wall.children) card.classList.toggle("chosen", card.dataset.id === id);
    try {
      const reply = await post(
        "generate",
        { model: id, seed, count: STEPS * PATHS, interpolate: { steps: STEPS }, format: "npy" },
        { accept: "*/*", signal },
      );
      showWalk(walk, id, readImages(await reply.arrayBuffer()));
      if (!still) walk.querySelector("input").focus();
    } catch (error) {
      fill(walk, notice(error, () => begin(id), signal) ?? "");
    }
  }
}

function place({ id }) {
  const at = ORDER.indexOf(id.replace("-mnist", ""));
  return at < 0 ? ORDER.length : at;
}

/** One system's first samples of the seed. */
function system(model, { signal, onWalk }) {
  const grid = h("div", {
    class: "grid sixteen",
    role: "img",
    "aria-label": t("sample.samples", { count: COUNT, name: nameOf(model.id) }),
  });
  grid.append(...Array.from({ length: COUNT }, () => h("canvas", { class: "pixels", width: 28, height: 28 })));
  const fid = model.scores.fid?.value;
  const card = h(
    "article",
    { class: "card system asking", "data-id": model.id },
    h(
      "header",
      {},
      h("h2", {}, nameOf(model.id)),
      fid === undefined ? null : h("p", { class: "fine" }, t("sample.fid", { value: figure(fid) })),
    ),
    grid,
    h(
      "p",
      { class: "fine paper", lang: "en" },
      model.paper
        .replace(/, '.*$/, "")
        .concat(/\b(19|20)\d\d\b/.exec(model.paper.replace(/arXiv.*/, ""))?.[0].replace(/^/, ", ") ?? ""),
    ),
    h("button", { type: "button", class: "quiet", onclick: onWalk }, t("sample.walk")),
  );
  (async function draw() {
    try {
      const reply = await post(
        "generate",
        { model: model.id, seed, count: COUNT, format: "npy" },
        { accept: "*/*", signal },
      );
      readImages(await reply.arrayBuffer()).forEach((image, at) => image.draw(grid.children[at]));
      card.classList.remove("asking");
    } catch (error) {
      const said = notice(error, () => card.replaceWith(system(model, { signal, onWalk })), signal);
      if (said) grid.replaceWith(said);
    }
  })();
  return card;
}

/** The way from one sample to another, one slider for all of its paths. */
function showWalk(walk, id, images) {
  const canvases = Array.from({ length: PATHS }, (_, path) =>
    h("canvas", { class: "pixels large", role: "img", "aria-label": t("sample.path", { path: path + 1 }) }),
  );
  const film = Array.from({ length: PATHS }, (_, path) => {
    const ends = [0, STEPS - 1].map((step) => {
      const canvas = h("canvas", {
        class: "pixels",
        role: "img",
        "aria-label": t(step ? "sample.end" : "sample.start"),
      });
      images[path * STEPS + step].draw(canvas);
      return canvas;
    });
    return h("div", { class: "path" }, ends[0], canvases[path], ends[1]);
  });
  const slider = h("input", {
    id: "walk",
    type: "range",
    min: 0,
    max: STEPS - 1,
    step: 1,
    value: Math.floor(STEPS / 2),
    oninput: move,
  });
  function move() {
    const step = Number(slider.value);
    canvases.forEach((canvas, path) => images[path * STEPS + step].draw(canvas));
    slider.setAttribute("aria-valuetext", t("sample.step", { step: step + 1, of: STEPS }));
  }
  fill(
    walk,
    h("h2", {}, t("sample.walk.title", { name: nameOf(id) })),
    h("p", { class: "hint" }, t("sample.walk.hint")),
    h("label", { for: "walk", class: "hidden" }, t("sample.walk")),
    slider,
    h("div", { class: "paths" }, film),
  );
  move();
}
