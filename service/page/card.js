/** One net and what it says of an image, and what was done to the image before. */

import { ask } from "./client.js";
import { fill, h, style } from "./dom.js";
import { nameOf } from "./names.js";
import { HEAT, map, picture } from "./pixels.js";
import { number, percent, t, told } from "./words.js";

/** How many labels are asked for. */
export const TOP = 3;
/** Nets whose answer has no slope in the pixels; they are asked what happens behind a grey square. */
const SLOPELESS = /^esn-/;
const STRANGE = "This image is strange";

/** One net, and what it says. */
export class Card {
  constructor(model) {
    this.model = model;
    this.answer = h("p", { class: "label" }, "?");
    this.bars = h("ol", { class: "bars" });
    this.pictures = h("div", { class: "pictures" });
    this.note = h("p", { class: "strange", hidden: true });
    this.time = h("span", { class: "time" });
    const accuracy = model.scores.accuracy?.value;
    this.element = h(
      "article",
      { class: "card waiting", "aria-label": nameOf(model.id) },
      h(
        "header",
        {},
        h("h2", {}, nameOf(model.id)),
        h(
          "p",
          { class: "fine" },
          t("chapter", { chapter: model.chapter }),
          accuracy ? ` · ${t("draw.accuracy", { value: percent(accuracy, 1) })}` : "",
        ),
      ),
      h("div", { class: "said" }, this.answer, this.bars),
      this.note,
      h("footer", {}, this.pictures, this.time),
    );
    this.element.card = this;
  }

  async ask(blob, signal) {
    this.element.classList.add("asking");
    const began = performance.now();
    try {
      const reply = await ask("classify", {
        method: "POST",
        query: { model: this.model.id, top_k: TOP },
        body: blob,
        kind: blob.type || "image/png",
        signal,
      });
      const { predictions } = await reply.json();
      this.show(predictions[0], performance.now() - began);
      return predictions[0];
    } catch (error) {
      if (error.name !== "AbortError") this.clear();
      return error.name === "AbortError" ? null : error;
    } finally {
      if (!signal.aborted) this.element.classList.remove("asking");
    }
  }

  clear() {
    this.first = null;
    this.answer.textContent = "?";
    this.element.classList.add("waiting");
    fill(this.bars);
    fill(this.pictures);
  }

  show({ labels, notes }, ms) {
    this.first = labels[0].label;
    this.notes = notes;
    this.answer.textContent = this.first;
    this.answer.classList.toggle("long", this.first.length > 2);
    this.element.classList.remove("waiting");
    this.time.textContent = t("ms", { ms: number(Math.round(ms)) });
    while (this.bars.children.length < labels.length) this.bars.append(bar());
    labels.forEach(({ label, probability }, at) => setBar(this.bars.children[at], label, probability));
    const strange = notes.some((each) => each.startsWith(STRANGE));
    this.note.hidden = !strange;
    this.note.textContent = strange ? t("draw.strange") : "";
  }

  /** The image as the net was given it, and what in it counted; null where it cannot say. */
  async explain(blob, signal) {
    const method = SLOPELESS.test(this.model.id) ? "occlusion" : "saliency";
    const asked = () =>
      ask("explain", {
        method: "POST",
        query: { model: this.model.id, method },
        body: blob,
        kind: blob.type || "image/png",
        signal,
      }).then((reply) => reply.json());
    const found = await asked().catch(() => null);
    if (!found) return null;
    const given = picture(found.image, {
      class: "pixels",
      "aria-label": t("draw.given", { net: nameOf(this.model.id) }),
    });
    const maps = found.slopes ?? found.log_odds;
    const { low, high } = found.scale;
    const flipped = found.slopes ? { low, high } : { low: high, high: low };
    const heat = map(maps, {
      ...flipped,
      colours: HEAT,
      class: "pixels",
      "aria-label": t("draw.counted", { net: nameOf(this.model.id) }),
    });
    fill(
      this.pictures,
      h("figure", {}, given, h("figcaption", {}, t("draw.sees"))),
      h("figure", {}, heat, h("figcaption", {}, t("draw.counts"))),
    );
    return { card: this, image: found.image, looks: found.steps };
  }
}

function bar() {
  return h(
    "li",
    {},
    h("span", { class: "name" }),
    h("span", { class: "track", "aria-hidden": "true" }, h("span", { class: "amount" })),
    h("span", { class: "value" }),
  );
}

function setBar(element, label, probability) {
  const [name, track, value] = element.children;
  name.textContent = label;
  value.textContent = percent(probability, probability > 0.9995 || probability < 0.0005 ? 0 : 1);
  style(track.firstElementChild, { width: `${100 * probability}%` });
}

/** What was done to the image, one way for all nets that were given the same. */
export function showSteps(pad, seen) {
  const ways = new Map();
  for (const { card, image, looks } of seen) {
    const notes = card.notes.filter((each) => !each.startsWith(STRANGE));
    const way = JSON.stringify([image.length, image[0].length, image[0][0].length, notes]);
    if (!ways.has(way)) ways.set(way, { notes, image, looks, cards: [] });
    ways.get(way).cards.push(card);
  }
  const strips = [...ways.values()].map(({ notes, image, looks, cards }) => {
    const names = cards.map((card) => nameOf(card.model.id)).join(" · ");
    const size = `${image.length}×${image[0].length}`;
    return h(
      "div",
      { class: "way" },
      h("p", { class: "fine" }, t("draw.steps.for", { names })),
      h(
        "ol",
        { class: "strip" },
        h(
          "li",
          { class: "shown" },
          pad.copy({ "aria-label": t("draw.steps.given") }),
          h("span", {}, t("draw.steps.given")),
        ),
        (notes.length ? notes : [""]).map((note, at) =>
          h(
            "li",
            { class: "step" },
            looks[at] && h("img", { class: "pixels", src: looks[at], alt: "" }),
            h("span", { class: "count", "aria-hidden": "true" }, note ? at + 1 : "="),
            h("span", {}, note ? told(note) : t("draw.steps.none")),
          ),
        ),
        h(
          "li",
          { class: "shown" },
          picture(image, { class: "pixels", "aria-label": t("draw.steps.taken", { size }) }),
          h("span", {}, t("draw.steps.taken", { size })),
        ),
      ),
    );
  });
  return strips.length ? [h("h2", {}, t("draw.steps")), strips] : [];
}
