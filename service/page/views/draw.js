/** Draw a digit, or give an image: every chosen net's labels side by side, and what was done to the image. */

import { Card, TOP, showSteps } from "../card.js";
import { models, post } from "../client.js";
import { fill, h, say } from "../dom.js";
import { kindOf, nameOf } from "../names.js";
import { notice } from "../notices.js";
import { Pad, easel, imageField, imagesFor, tool } from "../pad.js";
import { same } from "../same.js";
import { t } from "../words.js";

const KINDS = ["digits", "clothing", "photographs"];
const USUAL = {
  digits: ["lenet5-mnist", "nin-mnist", "mlp-mnist", "esn-sequential-mnist"],
  clothing: ["lenet5-fashion"],
  photographs: ["lenet5-cifar10", "alexnet-cifar10", "vgg16-bn-cifar10", "googlenet-cifar10"],
};
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
  const give = imagesFor(
    (image) => pad.put(image),
    (said) => fill(trouble, said),
    signal,
  );
  const file = imageField(give);
  const photo = imageField(give, { capture: "environment" });
  const tools = [
    tool("draw.clear", () => pad.clear()),
    tool("draw.undo", () => pad.undo()),
    tool("draw.file", () => file.click()),
    tool("draw.photo", () => photo.click(), "quiet touch"),
    tool("draw.invent", invent, null),
  ];
  const choice = h("fieldset", { class: "choice" });
  const recipe = same("draw", { model: "lenet5-mnist", top_k: TOP });
  fill(
    root,
    h("div", { class: "desk" }, easel(pad, tools, file, photo), h("div", { class: "answers" }, choice, trouble, cards)),
    steps,
    recipe.element,
  );

  signal.addEventListener("abort", () => {
    kept = pad.isEmpty ? null : { blob: pad.blob() };
  });

  let known = [];
  await begin();

  async function begin() {
    try {
      known = inOrder((await models({ signal })).filter((model) => model.task === "classify"));
    } catch (error) {
      fill(trouble, notice(error, begin, signal) ?? "");
      return;
    }
    if (signal.aborted) return;
    fill(trouble);
    chosen ??= new Set(usual(known, kind));
    showChoice();
    showCards();
    if (kept) await pad.put(await kept.blob);
  }

  async function invent() {
    const seed = Math.floor(Math.random() * 2 ** 31);
    try {
      const reply = await post(
        "generate",
        { model: "gan-mnist", count: 1, seed, format: "png" },
        { accept: "image/png", signal },
      );
      await pad.put(await reply.blob());
    } catch (error) {
      fill(trouble, notice(error, invent, signal) ?? "");
    }
  }

  function showChoice() {
    const kinds = KINDS.filter((each) => known.some((model) => kindOf(model) === each)).map((each) =>
      h(
        "label",
        { class: "segment" },
        h("input", { type: "radio", name: "kind", value: each, checked: each === kind, onchange: () => choose(each) }),
        h("span", {}, t(`draw.${each}`)),
      ),
    );
    const nets = known
      .filter((model) => kindOf(model) === kind)
      .map((model) =>
        h(
          "label",
          { class: "chip", title: model.summary },
          h("input", {
            type: "checkbox",
            value: model.id,
            checked: chosen.has(model.id),
            onchange: (event) => toggle(model.id, event.target.checked),
          }),
          h("span", {}, nameOf(model.id)),
        ),
      );
    fill(
      choice,
      h("legend", {}, t("draw.ask")),
      h("div", { class: "segments" }, kinds),
      h("div", { class: "chips" }, nets),
    );
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
    fill(
      cards,
      wanted.map((model) => new Card(model).element),
    );
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

/** The usual ones first, each kind in its own order. */
function inOrder(known) {
  const order = Object.values(USUAL).flat();
  const place = ({ id }) => (order.includes(id) ? order.indexOf(id) : order.length);
  return known.toSorted((one, other) => place(one) - place(other));
}

function usual(known, kind) {
  const there = new Set(known.map((model) => model.id));
  const found = USUAL[kind].filter((id) => there.has(id));
  return found.length
    ? found
    : known
        .filter((model) => kindOf(model) === kind)
        .slice(0, 4)
        .map((model) => model.id);
}
