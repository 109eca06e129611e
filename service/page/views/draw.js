/** Draw a digit, or give an image: every chosen net's labels side by side, and what was done to the image. */

import { ask, models, post } from "../client.js";
import { fill, h, say, style } from "../dom.js";
import { kindOf, nameOf } from "../names.js";
import { notice } from "../notices.js";
import { Pad } from "../pad.js";
import { map, picture } from "../pixels.js";
import { same } from "../same.js";
import { number, percent, t, told } from "../words.js";

const KINDS = ["digits", "clothing", "photographs"];
const USUAL = {
  digits: ["lenet5-mnist", "nin-mnist", "mlp-mnist", "esn-sequential-mnist"],
  clothing: ["lenet5-fashion"],
  photographs: ["lenet5-cifar10", "alexnet-cifar10", "vgg16-bn-cifar10", "googlenet-cifar10"],
};
const TOP = 3;
/** Nets whose answer has no slope in the pixels; they are asked what happens behind a grey square. */
const SLOPELESS = /^esn-/;
const STRANGE = "This image is strange";
const HEAT = ["#000000", "#7a1f12", "#f2773b", "#fff3d6"];
const AFTER_MS = 180;

/** What the reader has chosen stays while other views are looked at. */
let chosen = null;
let kind = "digits";
let kept = null;

export async function mount(root, signal) {
  let asking = new AbortController();
  let timer = 0;
  signal.addEventListener("abort", () => asking.abort());

  const cards = h("div", { class: "cards" });
  const steps = h("section", { class: "done", "aria-live": "off" });
  const trouble = h("div", {});
  const pad = new Pad((isDone) => {
    clearTimeout(timer);
    timer = setTimeout(() => look(isDone), isDone ? 0 : AFTER_MS);
  });
  const file = h("input", { type: "file", accept: "image/*", hidden: true, onchange: () => give(file.files[0]) });
  const photo = h("input", { type: "file", accept: "image/*", capture: "environment", hidden: true, onchange: () => give(photo.files[0]) });
  const tools = h(
    "div",
    { class: "row pad-tools" },
    h("button", { type: "button", class: "quiet", onclick: () => pad.clear() }, t("draw.clear")),
    h("button", { type: "button", class: "quiet", onclick: () => pad.undo() }, t("draw.undo")),
    h("button", { type: "button", class: "quiet", onclick: () => file.click() }, t("draw.file")),
    h("button", { type: "button", class: "quiet touch", onclick: () => photo.click() }, t("draw.photo")),
    h("button", { type: "button", onclick: invent }, t("draw.invent")),
  );
  const choice = h("fieldset", { class: "choice" });
  const recipe = same("draw", { model: "lenet5-mnist", top_k: TOP });
  fill(
    root,
    h(
      "div",
      { class: "desk" },
      h("div", { class: "given" }, pad.element, tools, h("p", { class: "hint", id: "pad-keys" }, t("draw.keys")), file, photo),
      h("div", { class: "answers" }, choice, trouble, cards),
    ),
    steps,
    recipe.element,
  );

  document.addEventListener("paste", (event) => give([...event.clipboardData.files].find(isImage)), { signal });
  for (const name of ["dragover", "drop"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      if (name === "drop" && event.dataTransfer.files.length) give(event.dataTransfer.files[0]);
    }, { signal });
  }
  signal.addEventListener("abort", () => {
    kept = pad.isEmpty ? null : { blob: pad.blob() };
  });

  let known;
  try {
    known = inOrder((await models({ signal })).filter((model) => model.task === "classify"));
  } catch (error) {
    fill(trouble, notice(error, () => mount(root, signal), signal) ?? "");
    return;
  }
  if (signal.aborted) return;
  chosen ??= new Set(usual(known, kind));
  showChoice();
  showCards();
  if (kept) await pad.put(await kept.blob);

  function give(given) {
    if (!given) return;
    file.value = photo.value = "";
    if (isImage(given)) pad.put(given);
    else fill(trouble, h("div", { class: "notice kind", role: "alert" }, h("p", {}, t("draw.wrong", { name: given.name }))));
  }

  async function invent() {
    const seed = Math.floor(Math.random() * 2 ** 31);
    try {
      const reply = await post("generate", { model: "gan-mnist", count: 1, seed, format: "png" }, { accept: "image/png", signal });
      await pad.put(await reply.blob());
    } catch (error) {
      fill(trouble, notice(error, invent, signal) ?? "");
    }
  }

  function showChoice() {
    const kinds = KINDS.filter((each) => known.some((model) => kindOf(model) === each)).map((each) =>
      h("label", { class: "segment" }, h("input", { type: "radio", name: "kind", value: each, checked: each === kind, onchange: () => choose(each) }), h("span", {}, t(`draw.${each}`))),
    );
    const nets = known.filter((model) => kindOf(model) === kind).map((model) =>
      h(
        "label",
        { class: "chip", title: model.summary },
        h("input", { type: "checkbox", value: model.id, checked: chosen.has(model.id), onchange: (event) => toggle(model.id, event.target.checked) }),
        h("span", {}, nameOf(model.id)),
      ),
    );
    fill(choice, h("legend", {}, t("draw.ask")), h("div", { class: "segments" }, kinds), h("div", { class: "chips" }, nets));
  }

  function choose(each) {
    kind = each;
    chosen = new Set(usual(known, kind));
    showChoice();
    choice.querySelector("input:checked").focus();
    showCards();
    look(true);
  }

  function toggle(id, isWanted) {
    if (isWanted) chosen.add(id);
    else chosen.delete(id);
    showCards();
    look(true);
  }

  function showCards() {
    const wanted = known.filter((model) => chosen.has(model.id));
    fill(cards, wanted.map((model) => new Card(model).element));
    recipe.update({ model: wanted[0]?.id ?? "lenet5-mnist" });
  }

  async function look(isDone) {
    asking.abort();
    asking = new AbortController();
    const { signal: now } = asking;
    fill(trouble);
    if (pad.isEmpty) {
      fill(steps);
      showCards();
      return;
    }
    const blob = await pad.blob();
    const every = [...cards.children].map((element) => element.card);
    const answers = await Promise.all(every.map((card) => card.ask(blob, now)));
    if (now.aborted) return;
    const refused = answers.find((answer) => answer instanceof Error);
    if (refused) fill(trouble, notice(refused, () => look(true), now) ?? "");
    if (!isDone) return;
    const told = every.filter((card) => card.first).map((card) => `${nameOf(card.model.id)}: ${card.first}`);
    if (told.length) say(told.join(", "));
    const seen = await Promise.all(every.filter((card) => card.first).map((card) => card.explain(blob, now)));
    if (!now.aborted) fill(steps, showSteps(pad, seen.filter(Boolean)));
  }
}

/** One net, and what it says. */
class Card {
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
      h("header", {}, h("h2", {}, nameOf(model.id)), h("p", { class: "fine" }, t("chapter", { chapter: model.chapter }), accuracy ? ` · ${t("draw.accuracy", { value: percent(accuracy, 1) })}` : "")),
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
      const reply = await ask("classify", { method: "POST", query: { model: this.model.id, top_k: TOP }, body: blob, kind: blob.type || "image/png", signal });
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
    const asked = () => ask("explain", { method: "POST", query: { model: this.model.id, method }, body: blob, kind: blob.type || "image/png", signal }).then((reply) => reply.json());
    const found = await asked().catch(() => null);
    if (!found) return null;
    const given = picture(found.image, { class: "pixels", "aria-label": t("draw.given", { net: nameOf(this.model.id) }) });
    const maps = found.slopes ?? found.log_odds;
    const { low, high } = found.scale;
    const flipped = found.slopes ? { low, high } : { low: high, high: low };
    const heat = map(maps, { ...flipped, colours: HEAT, class: "pixels", "aria-label": t("draw.counted", { net: nameOf(this.model.id) }) });
    fill(this.pictures, h("figure", {}, given, h("figcaption", {}, t("draw.sees"))), h("figure", {}, heat, h("figcaption", {}, t("draw.counts"))));
    return { card: this, image: found.image };
  }
}

function bar() {
  return h("li", {}, h("span", { class: "name" }), h("span", { class: "track", "aria-hidden": "true" }, h("span", { class: "amount" })), h("span", { class: "value" }));
}

function setBar(element, label, probability) {
  const [name, track, value] = element.children;
  name.textContent = label;
  value.textContent = percent(probability, probability > 0.9995 || probability < 0.0005 ? 0 : 1);
  style(track.firstElementChild, { width: `${100 * probability}%` });
}

/** What was done to the image, one way for all nets that were given the same. */
function showSteps(pad, seen) {
  const ways = new Map();
  for (const { card, image } of seen) {
    const notes = card.notes.filter((each) => !each.startsWith(STRANGE));
    const way = JSON.stringify([image.length, image[0].length, image[0][0].length, notes]);
    if (!ways.has(way)) ways.set(way, { notes, image, cards: [] });
    ways.get(way).cards.push(card);
  }
  const strips = [...ways.values()].map(({ notes, image, cards }) => {
    const names = cards.map((card) => nameOf(card.model.id)).join(" · ");
    const size = `${image.length} × ${image[0].length}`;
    return h(
      "div",
      { class: "way" },
      h("p", { class: "fine" }, t("draw.steps.for", { names })),
      h(
        "ol",
        { class: "strip" },
        h("li", { class: "shown" }, pad.copy({ "aria-label": t("draw.steps.given") }), h("span", {}, t("draw.steps.given"))),
        (notes.length ? notes : [""]).map((note, at) => h("li", { class: "step" }, h("span", { class: "count", "aria-hidden": "true" }, note ? at + 1 : "="), h("span", {}, note ? told(note) : t("draw.steps.none")))),
        h("li", { class: "shown" }, picture(image, { class: "pixels", "aria-label": t("draw.steps.taken", { size }) }), h("span", {}, t("draw.steps.taken", { size }))),
      ),
    );
  });
  return strips.length ? [h("h2", {}, t("draw.steps")), strips] : [];
}

/** The usual ones first, each kind in its own order. */
function inOrder(known) {
  const order = Object.values(USUAL).flat();
  const place = ({ id }) => (order.includes(id) ? order.indexOf(id) : order.length);
  return known.toSorted((one, other) => place(one) - place(other));
}

function usual(known, kind) {
  const there = new Set(known.map((model) => model.id));
  const found = USUAL[kind].filter((id) => there.has(id));
  return found.length ? found : known.filter((model) => kindOf(model) === kind).slice(0, 4).map((model) => model.id);
}

function isImage(given) {
  return given.type.startsWith("image/");
}
