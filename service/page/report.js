/** The report of an evaluation, and two of them side by side. */

import { base, ask, key } from "./client.js";
import { h, s } from "./dom.js";
import { table } from "./table.js";
import { figure, number, t } from "./words.js";

const TOLD = new Set([
  "fid",
  "kid",
  "mmd",
  "one_nn",
  "precision",
  "recall",
  "memorisation",
  "density",
  "coverage",
  "inception_score",
  "wasserstein",
  "sliced_wasserstein",
  "fid_infinity",
  "mode_score",
]);
const OUTCOMES = { passed: "good", failed: "bad", inconclusive: "unsure" };
const WORDS = { passed: "measure.passed", failed: "measure.failed", inconclusive: "measure.inconclusive" };

/** One report: its verdict, and every metric with its interval and what real samples would score. */
export function report(found) {
  const { metrics, generated, reference, verdict, warnings, copies } = found;
  return h(
    "article",
    { class: "card report" },
    h("header", {}, h("h2", {}, t("measure.report")), h("code", {}, found.id)),
    verdict?.checks?.length
      ? h(
          "p",
          { class: `verdict ${OUTCOMES[verdict.outcome] ?? "unsure"}` },
          t(WORDS[verdict.outcome] ?? (verdict.passed ? "measure.passed" : "measure.failed")),
          " ",
          h("span", { class: "fine" }, verdict.checks.map((check) => check.threshold).join(", ")),
        )
      : null,
    h(
      "p",
      {},
      t("measure.of", {
        generated: number(generated.count),
        reference: reference.name ?? t("measure.file"),
        count: number(reference.count),
      }),
    ),
    copies?.exact ? h("p", { class: "strange" }, t("measure.copies", { count: number(copies.exact) })) : null,
    table(
      t("measure.report"),
      ["metric", "value", "interval", "floor"].map((name) => t(`measure.${name}`)),
      Object.entries(metrics).map(([name, score]) => cells(name, score)),
    ),
    (warnings ?? []).map((warning) =>
      h("p", { class: "strange", lang: "en" }, typeof warning === "string" ? warning : JSON.stringify(warning)),
    ),
    h("p", {}, whole(found.id)),
  );
}

function cells(name, score) {
  return [
    [h("code", {}, name), TOLD.has(name) ? h("span", { class: "fine" }, t(`measure.metric.${name}`)) : null],
    figure(score.value),
    score.interval
      ? [band(score), h("span", { class: "fine" }, `${figure(score.interval[0])} … ${figure(score.interval[1])}`)]
      : "–",
    [
      score.noise_floor ? figure(score.noise_floor.value) : "–",
      score.times_floor
        ? h(
            "span",
            { class: "fine" },
            t("measure.times", { times: number(score.times_floor, { maximumFractionDigits: 1 }) }),
          )
        : null,
    ],
  ];
}

/** The interval as a bar, the value as a point in it, and the floor as a tick. */
function band({ value, interval: [low, high], noise_floor: floor }) {
  const places = [low, high, value, ...(floor ? [floor.value] : [])];
  const [from, to] = [Math.min(...places), Math.max(...places)];
  const x = (at) => 6 + (108 * (at - from)) / (to - from || 1);
  return s(
    "svg",
    { viewBox: "0 0 120 16", class: "interval", "aria-hidden": "true" },
    s("line", { x1: 0, x2: 120, y1: 8, y2: 8, class: "axis" }),
    s("rect", { x: x(low), y: 5, width: Math.max(1, x(high) - x(low)), height: 6, rx: 3 }),
    floor ? s("line", { x1: x(floor.value), x2: x(floor.value), y1: 1, y2: 15, class: "floor" }) : null,
    s("circle", { cx: x(value), cy: 8, r: 3.5 }),
  );
}

/** The way to the whole report, which is a page of its own. */
function whole(id) {
  const url = new URL(`evaluations/${id}`, base).href;
  if (!key.get()) return h("a", { href: url, target: "_blank", rel: "noopener" }, t("measure.whole"));
  const fetchIt = async () => {
    const reply = await ask(`evaluations/${id}`, { accept: "text/html" });
    const link = h("a", { href: URL.createObjectURL(await reply.blob()), download: `${id}.html` });
    link.click();
    URL.revokeObjectURL(link.href);
  };
  return h("button", { type: "button", class: "quiet", onclick: fetchIt }, t("measure.whole.file"));
}

/** Two reports, metric by metric, and whether their intervals lie apart. */
export function comparison(one, other) {
  const names = Object.keys(one.metrics).filter((name) => name in other.metrics);
  const apart = (left, right) =>
    left.interval && right.interval && (left.interval[1] < right.interval[0] || right.interval[1] < left.interval[0]);
  const cell = (score) => [
    figure(score.value),
    score.interval ? h("span", { class: "fine" }, `${figure(score.interval[0])} … ${figure(score.interval[1])}`) : null,
  ];
  return h(
    "article",
    { class: "card report" },
    h("h2", {}, t("measure.two")),
    one.reference.sha256 === other.reference.sha256 ? null : h("p", { class: "strange" }, t("measure.other.reference")),
    table(
      t("measure.two"),
      [t("measure.metric"), ...[one, other].map((each) => h("code", {}, each.id.slice(0, 8))), t("measure.difference")],
      names.map((name) => [
        h("code", {}, name),
        cell(one.metrics[name]),
        cell(other.metrics[name]),
        t(apart(one.metrics[name], other.metrics[name]) ? "measure.apart" : "measure.together"),
      ]),
    ),
  );
}
