/** Measure a generator: samples against a reference, with progress, a report, and earlier ones to compare with. */

import { ask, get, models, post } from "../client.js";
import { fill, h, pause, say } from "../dom.js";
import { Earlier } from "../earlier.js";
import { nameOf } from "../names.js";
import { notice } from "../notices.js";
import { comparison, report } from "../report.js";
import { same } from "../same.js";
import { number, percent, t } from "../words.js";

const COUNT = 1000;
const OVER = new Set(["finished", "failed", "cancelled"]);

export async function mount(root, signal) {
  const trouble = h("div", {});
  const progress = h("div", { class: "progress", hidden: true });
  const result = h("div", {});
  const earlier = new Earlier({ onOpen: open, onCompare: two, onTrouble: fail, signal });
  const source = h("select", { id: "source", onchange: showSource });
  const generated = h("input", { id: "generated", type: "file", accept: ".zip,.tar,.gz,.tgz,.npy,.npz" });
  const against = h("select", { id: "against", onchange: showSource });
  const reference = h("input", { id: "reference", type: "file", accept: ".zip,.tar,.gz,.tgz,.npy,.npz" });
  const thresholds = h("input", { id: "thresholds", type: "text", placeholder: "fid<=3", spellcheck: "false" });
  const start = h("button", { type: "submit" }, t("measure.start"));
  const recipe = same("measure", { reference: "mnist-test" });
  const files = [
    h("div", { class: "drop" }, h("label", { for: "generated" }, t("measure.generated")), generated),
    h("div", { class: "drop" }, h("label", { for: "reference" }, t("measure.reference")), reference),
  ];
  fill(
    root,
    h(
      "form",
      {
        class: "card form",
        onsubmit: (event) => {
          event.preventDefault();
          begin();
        },
      },
      h("div", { class: "field" }, h("label", { for: "source" }, t("measure.samples")), source, files[0]),
      h("div", { class: "field" }, h("label", { for: "against" }, t("measure.against")), against, files[1]),
      h(
        "div",
        { class: "field" },
        h("label", { for: "thresholds" }, t("measure.thresholds")),
        thresholds,
        h("p", { class: "hint" }, t("measure.thresholds.hint")),
      ),
      h("div", { class: "field end" }, start),
    ),
    h("p", { class: "hint by-mouse" }, t("measure.drop")),
    trouble,
    progress,
    result,
    earlier.element,
    recipe.element,
  );
  takeDropped(files, (given, place) => {
    const fields = place < 0 ? [generated, reference] : [[generated, reference][place]];
    given.slice(0, fields.length).forEach((file, at) => put(fields[at], file));
    showSource();
    say(given.map((file) => file.name).join(", "));
  }, signal);

  try {
    const [known, { references }] = await Promise.all([models({ signal }), get("references", { signal })]);
    const drawers = known.filter((model) => model.task === "generate" && model.output);
    fill(
      source,
      drawers.map((model) =>
        h(
          "option",
          { value: model.id, selected: model.id === "gan-mnist" },
          t("measure.draws", { count: number(COUNT), name: `${nameOf(model.id)} · ${model.dataset}` }),
        ),
      ),
      h("option", { value: "" }, t("measure.a.file")),
    );
    fill(
      against,
      references.map(({ name, count }) =>
        h("option", { value: name, selected: name === "mnist-test" }, count ? `${name} · ${number(count)}` : name),
      ),
      h("option", { value: "" }, t("measure.a.file")),
    );
    if (generated.files.length) source.value = ""; // somebody was faster than the lists
    if (reference.files.length) against.value = "";
    showSource();
    await earlier.show();
  } catch (error) {
    fill(trouble, notice(error, () => mount(root, signal), signal) ?? "");
  }

  /** Give a field a file that was dropped, and have its list say so. */
  function put(field, file) {
    const carried = new DataTransfer();
    carried.items.add(file);
    field.files = carried.files;
    (field === generated ? source : against).value = "";
  }

  function showSource() {
    files[0].hidden = source.value !== "";
    files[1].hidden = against.value !== "";
    recipe.update({ reference: against.value || "mnist-test" });
  }

  async function begin() {
    fill(trouble);
    fill(result);
    start.disabled = true;
    try {
      const form = await filled();
      if (form) await follow(form);
    } catch (error) {
      progress.hidden = true;
      fill(trouble, notice(error, error.kind === "wrong" ? null : begin, signal) ?? "");
    } finally {
      start.disabled = false;
    }
  }

  async function filled() {
    const form = new FormData();
    const missing =
      (source.value === "" && !generated.files.length) || (against.value === "" && !reference.files.length);
    if (missing) {
      fill(trouble, h("div", { class: "notice wrong", role: "alert" }, h("p", {}, t("measure.missing"))));
      return null;
    }
    if (source.value) {
      tell(t("measure.drawing", { count: number(COUNT), name: nameOf(source.value) }), 0);
      const reply = await post(
        "generate",
        { model: source.value, count: COUNT, seed: 0, format: "npz" },
        { accept: "*/*", signal },
      );
      form.append("generated", await reply.blob(), `${source.value}.npz`);
    } else form.append("generated", generated.files[0]);
    if (against.value) form.append("reference_name", against.value);
    else form.append("reference", reference.files[0]);
    if (thresholds.value.trim()) form.append("thresholds", thresholds.value.trim());
    return form;
  }

  async function follow(form) {
    tell(t("measure.sending"), 0);
    const reply = await ask("evaluate", { method: "POST", body: form, prefer: "wait=0", signal });
    let state = await reply.json();
    const { id } = state;
    while (!state.metrics && !OVER.has(state.status)) {
      tell(t(`measure.status.${state.status}`), state.progress);
      state = (await events(id, (told) => tell(t(`measure.status.${told.status}`), told.progress))) ?? state;
      if (!OVER.has(state.status)) await pause(1, signal);
    }
    progress.hidden = true;
    await open(id);
    await earlier.show();
  }

  /** What the service tells of an evaluation until it is over; the last state that it told. */
  async function events(id, onState) {
    const reply = await ask(`evaluations/${id}/events`, { accept: "text/event-stream", signal });
    const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
    let [text, last] = ["", null];
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return last;
      const lines = (text + value).split("\n");
      text = lines.pop();
      for (const line of lines.filter((each) => each.startsWith("data: "))) {
        last = JSON.parse(line.slice(6));
        onState(last);
      }
    }
  }

  function tell(words, share) {
    progress.hidden = false;
    const bar = h("progress", { max: 1, "aria-label": words });
    bar.value = share;
    fill(progress, h("p", {}, words, share ? ` ${percent(share, 0)}` : ""), bar);
  }

  async function open(id) {
    const found = await get(`evaluations/${id}`, { signal });
    if (found.metrics) {
      fill(result, report(found));
      say(t("measure.done"));
    } else if (found.problem)
      fill(
        result,
        h(
          "div",
          { class: "notice wrong", role: "alert" },
          h("p", {}, t("measure.broke")),
          h("p", { class: "detail", lang: "en" }, found.problem.detail),
        ),
      );
    result.scrollIntoView({ block: "nearest" });
  }

  async function two([one, other]) {
    try {
      const found = await Promise.all([one, other].map((id) => get(`evaluations/${id}`, { signal })));
      fill(result, comparison(...found));
      result.scrollIntoView({ block: "nearest" });
    } catch (error) {
      fail(error);
    }
  }

  function fail(error) {
    fill(trouble, notice(error, null, signal) ?? "");
  }
}

/**
 * Take what is dropped anywhere, until the view is left. `take` is given the files and in which of the zones they were
 * dropped, or −1: the first of two is then what was generated, the second what is real.
 */
function takeDropped(zones, take, signal) {
  document.addEventListener("dragover", (event) => event.preventDefault(), { signal });
  document.addEventListener(
    "drop",
    (event) => {
      event.preventDefault();
      const given = [...event.dataTransfer.files];
      if (given.length) take(given, given.length > 1 ? -1 : zones.findIndex((zone) => zone.contains(event.target)));
    },
    { signal },
  );
}
