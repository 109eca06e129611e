/** Look inside a net: the maps of each layer, what sent an answer back to pixels, and a unit's strongest images. */

import { ask, get, models, post } from "../client.js";
import { fill, h, style } from "../dom.js";
import { nameOf } from "../names.js";
import { notice } from "../notices.js";
import { Pad, easel, imageField, imagesFor, tool } from "../pad.js";
import { HEAT, map, picture } from "../pixels.js";
import { same } from "../same.js";
import { figure, number, t } from "../words.js";

/** Of a deep net so many layers, evenly; of a wide one so many maps. */
const LAYERS = 7;
const MAPS = 24;
const SEED = 11;
const WAYS = ["saliency", "occlusion", "deconvnet"];

let net = "lenet5-mnist";
let kept = null;

export async function mount(root, signal) {
  let asking = new AbortController();
  let known = [];
  signal.addEventListener("abort", () => asking.abort());
  const layers = h("div", { class: "layers" });
  const ways = h("div", { class: "ways" });
  const unit = h("section", { class: "unit", tabindex: "-1" }); // below the layer whose map is looked at
  const choice = h("select", { id: "net", onchange: () => choose(choice.value) });
  const recipe = same("inside", { model: net, layer: "C3", unit: 0, method: "activations" });
  const pad = new Pad((isDone) => isDone && look());
  const trouble = h("div", {});
  const give = imagesFor(
    (image) => {
      fill(trouble);
      pad.put(image);
    },
    (said) => fill(trouble, said),
    signal,
  );
  const file = imageField(give);
  fill(
    root,
    h(
      "div",
      { class: "desk" },
      easel(
        pad,
        [
          tool("draw.clear", () => pad.clear()),
          tool("draw.file", () => file.click()),
          tool("draw.invent", () => invent(Math.floor(Math.random() * 2 ** 31)), null),
        ],
        file,
        h("label", { for: "net" }, t("inside.net")),
        choice,
        ways,
      ),
      h("div", {}, trouble, h("p", { class: "hint" }, t("inside.hint")), layers),
    ),
    recipe.element,
  );
  try {
    known = (await models({ signal })).filter((model) => model.task === "classify");
  } catch (error) {
    fill(layers, notice(error, () => mount(root, signal), signal) ?? "");
    return;
  }
  const nets = known.toSorted((one, other) =>
    one.id === net ? -1 : other.id === net ? 1 : one.id.localeCompare(other.id),
  );
  if (!known.some((model) => model.id === net)) net = nets[0]?.id;
  fill(
    choice,
    nets.map((model) =>
      h("option", { value: model.id, selected: model.id === net }, `${nameOf(model.id)} · ${model.dataset}`),
    ),
  );
  signal.addEventListener("abort", () => {
    kept = pad.isEmpty ? null : { blob: pad.blob() };
  });
  if (kept) await pad.put(await kept.blob);
  else await invent(SEED);

  async function invent(seed) {
    try {
      const reply = await post(
        "generate",
        { model: "gan-mnist", count: 1, seed, format: "png" },
        { accept: "image/png", signal },
      );
      await pad.put(await reply.blob());
    } catch (error) {
      fill(layers, notice(error, () => invent(seed), signal) ?? "");
    }
  }

  function choose(id) {
    net = id;
    fill(unit);
    recipe.update({ model: id });
    look();
  }

  async function look() {
    asking.abort();
    asking = new AbortController();
    const now = asking.signal;
    if (pad.isEmpty) {
      fill(layers);
      fill(ways);
      return;
    }
    const blob = await pad.blob();
    const explain = (query) =>
      ask("explain", {
        method: "POST",
        query: { model: net, ...query },
        body: blob,
        kind: blob.type || "image/png",
        signal: now,
      }).then((reply) => reply.json());
    layers.classList.add("asking");
    try {
      const [detail, first] = await Promise.all([
        get(`models/${net}`, { signal: now }),
        explain({ method: "saliency" }),
      ]);
      const table = new Map(detail.card.layers.map((layer) => [layer.name, layer]));
      const mapped = detail.card.layers.filter((layer) => layer.output.length === 3).map((layer) => layer.name);
      const names = evenly(mapped, LAYERS);
      const seen = await Promise.all(names.map((name) => explain({ method: "activations", layer: name })));
      if (now.aborted) return;
      const rows = seen.map(
        (answer) =>
          new Row(answer, table.get(answer.layer), (at, row) => {
            row.after(unit);
            open(answer.layer, at, explain, now);
          }),
      );
      const input = new Input(first.image, rows);
      fill(
        layers,
        input.element,
        rows.map((row) => row.element),
      );
      recipe.update({ layer: names.at(-1) ?? "C3" });
      const others = await Promise.all(WAYS.slice(1).map((method) => explain({ method }).catch(() => null)));
      if (!now.aborted) fill(ways, [first, ...others].filter(Boolean).map(way));
    } catch (error) {
      fill(layers, notice(error, look, now) ?? "");
    } finally {
      if (!now.aborted) layers.classList.remove("asking");
    }
  }

  async function open(layer, at, explain, now) {
    recipe.update({ layer, unit: at });
    fill(unit, h("h2", {}, t("inside.unit", { unit: at, layer })), h("p", { class: "hint" }, t("inside.looking")));
    unit.scrollIntoView({ block: "nearest" });
    const projected = await explain({ method: "deconvnet", layer, unit: at }).catch(() => null);
    const strongest = await get(`models/${net}/units`, { query: { layer, unit: at }, signal: now }).catch(
      (error) => error,
    );
    if (now.aborted) return;
    const back =
      projected &&
      h(
        "figure",
        {},
        sent(projected.projections[0], t("inside.sent.back")),
        h("figcaption", {}, t("inside.sent.back")),
      );
    const nine =
      strongest instanceof Error
        ? h("p", { class: "hint" }, t("inside.unlooked"), " ", h("code", {}, `chapterhouse models units ${net}`))
        : nineOf(strongest);
    fill(unit, h("h2", {}, t("inside.unit", { unit: at, layer })), h("div", { class: "row start" }, back, nine));
    unit.focus({ preventScroll: true });
  }
}

/** The image as the net was given it; pointing at a pixel points at its place in every layer. */
class Input {
  constructor(image, rows) {
    this.rows = rows;
    this.size = [image.length, image[0].length];
    this.at = this.size.map((side) => Math.floor(side / 2));
    this.marks = h("span", { class: "mark", "aria-hidden": "true" });
    const canvas = picture(image, { class: "pixels" });
    canvas.removeAttribute("role");
    this.told = h("p", { class: "fine", role: "status" });
    this.tile = h(
      "div",
      {
        class: "tile large",
        tabindex: "0",
        role: "application",
        "aria-roledescription": t("inside.pixels"),
        "aria-label": t("inside.point"),
        onpointermove: (event) => this.point(event),
        onpointerdown: (event) => this.point(event),
        onkeydown: (event) => this.type(event),
      },
      canvas,
      this.marks,
    );
    this.element = h(
      "div",
      { class: "layer" },
      h(
        "header",
        {},
        h("h2", {}, t("inside.input")),
        h("p", { class: "fine" }, `${image[0][0].length}×${this.size.join("×")}`),
      ),
      h(
        "div",
        { class: "row start" },
        this.tile,
        h("div", { class: "grow" }, h("p", { class: "hint" }, t("inside.point")), this.told),
      ),
    );
    this.go();
  }

  point(event) {
    const box = this.tile.getBoundingClientRect();
    const share = [(event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width];
    this.at = share.map((part, axis) => Math.min(this.size[axis] - 1, Math.max(0, Math.floor(part * this.size[axis]))));
    this.go();
  }

  type(event) {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    this.at = this.at.map((place, axis) => Math.min(this.size[axis] - 1, Math.max(0, place + step[axis])));
    this.go();
  }

  go() {
    const share = this.at.map((place, axis) => (place + 0.5) / this.size[axis]);
    mark(this.tile, share, this.size);
    this.told.textContent = t("inside.at", { row: this.at[0], column: this.at[1] });
    for (const row of this.rows) row.point(share);
  }
}

/** One layer and its maps. */
class Row {
  constructor(answer, layer, onOpen) {
    this.maps = answer.maps;
    this.size = [answer.maps[0].length, answer.maps[0][0].length];
    const shown = answer.maps.slice(0, MAPS);
    const isPoint = this.size[0] * this.size[1] === 1; // a map of one number has no least and greatest of its own
    this.tiles = shown.map((rows, at) => {
      const values = (isPoint ? shown : rows).flat(2);
      const canvas = map(rows, { low: Math.min(...values), high: Math.max(...values), class: "pixels" });
      canvas.removeAttribute("role");
      return h(
        "button",
        {
          type: "button",
          class: "tile",
          "aria-label": t("inside.map", { map: answer.units[at], layer: answer.layer }),
          onclick: () => onOpen(answer.units[at], this.element),
        },
        canvas,
        h("span", { class: "mark", "aria-hidden": "true" }),
      );
    });
    this.told = h("p", { class: "fine" });
    const size = t("inside.maps", { count: number(layer?.output[0] ?? shown.length), size: this.size.join("×") });
    const field = layer?.receptive_field ? ` · ${t("inside.field", { field: layer.receptive_field })}` : "";
    const more = answer.maps.length > MAPS ? ` · ${t("inside.first", { count: MAPS })}` : "";
    this.element = h(
      "div",
      { class: "layer" },
      h("header", {}, h("h2", {}, answer.layer), h("p", { class: "fine" }, size, field, more)),
      h("div", { class: "tiles" }, this.tiles),
      this.told,
    );
  }

  /** Mark the place that is nearest to a point of the image, and say how strongly the maps answer there. */
  point(share) {
    const [y, x] = share.map((part, axis) => Math.min(this.size[axis] - 1, Math.floor(part * this.size[axis])));
    const values = this.tiles.map((_, at) => this.maps[at][y][x]);
    const strongest = values.indexOf(Math.max(...values));
    this.tiles.forEach((tile, at) => {
      mark(tile, [(y + 0.5) / this.size[0], (x + 0.5) / this.size[1]], this.size);
      tile.classList.toggle("lit", at === strongest);
    });
    this.told.textContent = t("inside.answers", { map: strongest, value: figure(values[strongest]) });
  }
}

function mark(tile, [y, x], [height, width]) {
  style(tile, { "--x": `${100 * x}%`, "--y": `${100 * y}%`, "--w": `${100 / width}%`, "--h": `${100 / height}%` });
}

/** What one method says of the whole image. */
function way({ method, slopes, log_odds: odds, projections, scale, label_name: label }) {
  const canvas = slopes
    ? map(slopes, { ...scale, colours: HEAT, class: "pixels", "aria-label": t(`inside.${method}`, { label }) })
    : odds
      ? map(odds, {
          low: scale.high,
          high: scale.low,
          colours: HEAT,
          class: "pixels",
          "aria-label": t(`inside.${method}`, { label }),
        })
      : sent(projections[0], t(`inside.${method}`, { label }));
  return h("figure", {}, canvas, h("figcaption", {}, t(`inside.${method}`, { label })));
}

/** An answer sent back to pixels, C×H×W, evenly around nothing. */
function sent(channels, label) {
  const mean = channels[0].map((row, y) =>
    row.map((_, x) => channels.reduce((sum, channel) => sum + channel[y][x], 0) / channels.length),
  );
  const reach = Math.max(...mean.flat().map(Math.abs)) || 1;
  return map(mean, { low: -reach, high: reach, class: "pixels", "aria-label": label });
}

function nineOf({ units, images, dataset }) {
  const pictures = units[0].strongest.map((one) =>
    h(
      "figure",
      {},
      picture(one.patch, {
        class: "pixels",
        "aria-label": t("inside.patch", { label: one.label, strength: figure(one.strength) }),
      }),
      h("figcaption", {}, one.label),
    ),
  );
  return h(
    "div",
    { class: "grow" },
    h("p", { class: "hint" }, t("inside.nine", { images: number(images), dataset })),
    h("div", { class: "nine" }, pictures),
  );
}

function evenly(names, count) {
  if (names.length <= count) return names;
  return Array.from({ length: count }, (_, at) => names[Math.round((at * (names.length - 1)) / (count - 1))]);
}
