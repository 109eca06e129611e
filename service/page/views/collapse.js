/** Mode collapse as it happened: recorded trainings on ring and grid, played back with the modes counted. */

import { Axes, ends } from "../axes.js";
import { get, models } from "../client.js";
import { fill, h, isStill, s, style } from "../dom.js";
import { nameOf } from "../names.js";
import { notice } from "../notices.js";
import { same } from "../same.js";
import { number, percent, t } from "../words.js";

const FRAME_MS = 140;
/** A point belongs to a mode that is no further than so many deviations of the data, and one point covers it: `service/metrics/mode_coverage.py`. */
const NEAR = 3;
const SIDE = 220;

let set = "ring";

export async function mount(root, signal) {
  const wall = h("div", { class: "wall" });
  const time = h("input", {
    id: "time",
    type: "range",
    min: 0,
    max: 59,
    step: 1,
    value: 0,
    oninput: () => go(Number(time.value)),
  });
  const play = h("button", { type: "button", onclick: toggle }, t("collapse.play"));
  const choice = ["ring", "grid"].map((name) =>
    h(
      "label",
      { class: "segment" },
      h("input", { type: "radio", name: "set", value: name, checked: name === set, onchange: () => choose(name) }),
      h("span", {}, t(`collapse.${name}`)),
    ),
  );
  const recipe = same("collapse", { points: `gan-${set}` });
  let films = [];
  let timer = 0;
  signal.addEventListener("abort", () => clearInterval(timer));
  fill(
    root,
    h(
      "div",
      { class: "row bar" },
      h(
        "fieldset",
        { class: "choice" },
        h("legend", { class: "hidden" }, t("collapse.set")),
        h("div", { class: "segments" }, choice),
      ),
      play,
      h("label", { for: "time", class: "hidden" }, t("collapse.time")),
      h("div", { class: "grow" }, time),
    ),
    h("p", { class: "hint" }, t("collapse.hint", { near: NEAR })),
    wall,
    recipe.element,
  );
  await load();

  async function load() {
    clearInterval(timer);
    films = [];
    let systems;
    try {
      systems = (await models({ signal })).filter((model) => model.points && model.id.endsWith(`-${set}`));
    } catch (error) {
      fill(wall, notice(error, load, signal) ?? "");
      return;
    }
    const order = ["gan", "unrolled", "wgan", "wgan-gp"];
    const place = ({ id }) =>
      order.includes(id.replace(/-\w+$/, "")) ? order.indexOf(id.replace(/-\w+$/, "")) : order.length;
    const cards = systems.toSorted((one, other) => place(one) - place(other)).map((model) => new Film(model));
    fill(
      wall,
      cards.map((card) => card.element),
    );
    const wanted = set;
    await Promise.all(
      cards.map(async (card) => {
        try {
          card.take(await get(`models/${card.model.id}/recording`, { signal }));
          films.push(card);
          if (wanted === set) card.show(Number(time.value));
        } catch (error) {
          if (error.kind === "missing") card.element.remove();
          else fill(card.element, notice(error, load, signal) ?? "");
        }
      }),
    );
    if (signal.aborted || wanted !== set || !films.length) return;
    time.max = Math.max(...films.map((film) => film.length)) - 1;
    if (Number(time.value) > 0) return; // the reader has been faster
    if (isStill()) go(Number(time.max));
    else start();
  }

  function choose(name) {
    set = name;
    recipe.update({ points: `gan-${set}` });
    time.value = 0;
    load();
  }

  function toggle() {
    if (timer) stop();
    else start();
  }

  function start() {
    if (Number(time.value) >= Number(time.max)) time.value = 0;
    play.textContent = t("collapse.pause");
    timer = setInterval(() => {
      if (Number(time.value) >= Number(time.max)) stop();
      else go(Number(time.value) + 1, { keeps: true });
    }, FRAME_MS);
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
    play.textContent = t("collapse.play");
  }

  function go(at, { keeps = false } = {}) {
    if (!keeps) stop();
    time.value = at;
    for (const film of films) film.show(at);
    time.setAttribute("aria-valuetext", films[0]?.told(at) ?? "");
  }
}

/** One recorded training. */
class Film {
  constructor(model) {
    this.model = model;
    this.canvas = h("canvas", {
      role: "img",
      class: "points",
      width: SIDE * 2,
      height: SIDE * 2,
      "aria-label": t("collapse.points", { name: nameOf(model.id) }),
    });
    this.modes = h("p", { class: "modes" });
    this.step = h("p", { class: "fine" });
    this.curve = s("svg", {
      viewBox: "0 0 100 24",
      preserveAspectRatio: "none",
      class: "curve",
      "aria-hidden": "true",
    });
    this.axes = new Axes(this.curve, { across: t("axis.iterations"), places: ends });
    this.element = h(
      "article",
      { class: "card system" },
      h("header", {}, h("h2", {}, nameOf(model.id)), this.step),
      this.canvas,
      this.modes,
      this.axes.element,
    );
  }

  take({ modes, deviation, steps, samples }) {
    Object.assign(this, { places: modes, deviation, steps, samples });
    this.length = steps.length;
    this.found = samples.map((points) => this.count(points));
    const last = steps.length - 1;
    const path = this.found
      .map(({ covered }, at) => `${at ? "L" : "M"}${(100 * at) / last} ${23 - (22 * covered) / modes.length}`)
      .join("");
    this.cursor = s("line", { y1: 0, y2: 24, class: "cursor" });
    this.axes.show([steps[0], steps[last]], [0, modes.length]);
    this.curve.append(s("path", { d: path }), this.cursor);
  }

  /** How many modes have points near them, and the share of points that are near one. */
  count(points) {
    const near = new Array(this.places.length).fill(0);
    let good = 0;
    for (const [x, y] of points) {
      if (x === null || y === null) continue;
      const nearest = this.places.reduce(
        (best, [a, b], at) => (Math.hypot(x - a, y - b) < best[1] ? [at, Math.hypot(x - a, y - b)] : best),
        [-1, Infinity],
      );
      if (nearest[1] > NEAR * this.deviation) continue;
      near[nearest[0]] += 1;
      good += 1;
    }
    return { covered: near.filter((count) => count > 0).length, good: good / points.length, near };
  }

  told(at) {
    return t("collapse.step", { step: number(this.steps[Math.min(at, this.length - 1)]) });
  }

  show(at) {
    const now = Math.min(at, this.length - 1);
    const { covered, good, near } = this.found[now];
    this.step.textContent = this.told(now);
    fill(
      this.modes,
      h("strong", {}, t("collapse.modes", { covered, of: this.places.length })),
      " ",
      h("span", { class: "fine" }, t("collapse.good", { share: percent(good, 0) })),
    );
    style(this.modes, { "--share": covered / this.places.length });
    for (const name of ["x1", "x2"]) this.cursor.setAttribute(name, (100 * now) / (this.length - 1));
    this.paint(this.samples[now], near);
  }

  paint(points, near) {
    const context = this.canvas.getContext("2d");
    const look = getComputedStyle(this.canvas);
    const [soft, accent, blue] = ["--line", "--accent", "--blue"].map((name) => look.getPropertyValue(name));
    const reach = Math.max(...this.places.flat().map(Math.abs)) * 1.2;
    const at = (value) => ((value + reach) / (2 * reach)) * this.canvas.width;
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.lineWidth = 2;
    this.places.forEach(([x, y], mode) => {
      context.strokeStyle = near[mode] ? accent : soft;
      context.beginPath();
      context.arc(at(x), this.canvas.height - at(y), 14, 0, 2 * Math.PI);
      context.stroke();
    });
    context.fillStyle = blue;
    context.globalAlpha = 0.55;
    for (const [x, y] of points) {
      if (x === null) continue;
      context.beginPath();
      context.arc(at(x), this.canvas.height - at(y), 4.2, 0, 2 * Math.PI);
      context.fill();
    }
    context.globalAlpha = 1;
  }
}
