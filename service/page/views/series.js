/** Draw or paste a series and have it continued, with the interval and the naive forecasts beside it. */

import { Axes } from "../axes.js";
import { models, post } from "../client.js";
import { fill, h, s } from "../dom.js";
import { notice } from "../notices.js";
import { same } from "../same.js";
import { figure, number, t, told } from "../words.js";

const STEPS = 160;
const WIDTH = 800;
const HEIGHT = 300;
const FEWEST = 60;
const TAU = 2 * Math.PI;
const EXAMPLES = {
  season: (at) => 5 * Math.sin((TAU * at) / 24) + 2 * Math.sin((TAU * at) / 12) + at * 0.05 + 1.6 * unrest(at),
  wave: (at) => Math.sin(at / 7) * (1 + 0.5 * Math.sin(at / 31)) + 0.1 * unrest(at),
  trend: (at) => 0.04 * at + 1.2 * unrest(at) + 0.8 * unrest(at + 500) * Math.sin(at / 5),
};

/** Something between −1 and 1 for each step, which looks like chance and is always the same. */
function unrest(at) {
  const part = Math.sin(at * 127.1 + 311.7) * 43758.5453;
  return 2 * (part - Math.floor(part)) - 1;
}

let series = Array.from({ length: STEPS }, (_, at) => Number(EXAMPLES.season(at).toFixed(3)));
let horizon = 48;
let answer = null;

export async function mount(root, signal) {
  let asking = new AbortController();
  let range = null;
  let last = null;
  signal.addEventListener("abort", () => asking.abort());
  const trouble = h("div", {});
  const result = h("div", {});
  const plot = s("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: "none",
    class: "plot",
    role: "img",
    "aria-label": t("series.plot"),
  });
  const axes = new Axes(plot, { up: t("axis.value"), across: t("axis.steps") });
  const steps = h("input", {
    id: "horizon",
    type: "range",
    min: 8,
    max: 96,
    step: 4,
    value: horizon,
    oninput: () => go(Number(steps.value)),
  });
  const far = h("label", { for: "horizon", class: "far" }, t("series.horizon", { steps: number(horizon) }));
  const text = h("textarea", { id: "values", rows: 4, spellcheck: "false", onchange: () => paste(text.value) });
  const recipe = same("series", { horizon });
  fill(
    root,
    trouble,
    h(
      "div",
      { class: "row bar" },
      Object.keys(EXAMPLES).map((name) =>
        h(
          "button",
          {
            type: "button",
            class: "quiet",
            onclick: () => take(Array.from({ length: STEPS }, (_, at) => Number(EXAMPLES[name](at).toFixed(3)))),
          },
          t(`series.${name}.example`),
        ),
      ),
      h("button", { type: "button", class: "quiet", onclick: clear }, t("series.empty")),
      h("div", { class: "pair grow" }, far, steps),
    ),
    h("div", { class: "card chart" }, axes.element),
    h("p", { class: "hint" }, t("series.hint")),
    result,
    h("label", { for: "values", class: "above" }, t("series.values", { fewest: FEWEST })),
    text,
    recipe.element,
  );
  plot.addEventListener("pointerdown", begin);
  plot.addEventListener("pointermove", pull);
  plot.addEventListener("pointerup", end);
  plot.addEventListener("pointercancel", end);
  take(series);
  await models({ signal }).catch(() => null);

  function take(values) {
    series = values;
    answer = null;
    text.value = values.join(", ");
    paint();
    look();
  }

  /** A level line to draw on; nothing is asked before something is drawn. */
  function clear() {
    asking.abort();
    series = new Array(STEPS).fill(0);
    answer = null;
    text.value = series.join(", ");
    fill(trouble);
    fill(result);
    paint();
  }

  function paste(words) {
    const values = words
      .split(/[\s,;]+/)
      .filter(Boolean)
      .map(Number);
    if (values.length < FEWEST || values.some((value) => !Number.isFinite(value))) {
      fill(
        trouble,
        h("div", { class: "notice wrong", role: "alert" }, h("p", {}, t("series.wrong", { fewest: FEWEST }))),
      );
      return;
    }
    take(values);
  }

  function go(wanted) {
    horizon = wanted;
    far.textContent = t("series.horizon", { steps: number(horizon) });
    recipe.update({ horizon });
    look();
  }

  async function look() {
    asking.abort();
    asking = new AbortController();
    const now = asking.signal;
    fill(trouble);
    try {
      const reply = await post("forecast", { history: series, horizon, fit: true }, { signal: now });
      answer = await reply.json();
      paint();
      fill(result, tell(answer));
    } catch (error) {
      const said = notice(error, look, now);
      if (said) fill(trouble, said);
    }
  }

  function begin(event) {
    plot.setPointerCapture(event.pointerId);
    range = limits(series, answer);
    last = null;
    pull(event);
  }

  function pull(event) {
    if (!range) return;
    const box = plot.getBoundingClientRect();
    const at = Math.round(((event.clientX - box.left) / box.width) * (series.length + horizon - 1));
    const value = range.high - ((event.clientY - box.top) / box.height) * (range.high - range.low);
    if (at < 0 || at >= series.length) return;
    const [from, before] = last ?? [at, value];
    const count = Math.abs(at - from) || 1;
    for (let step = 0; step <= count; step += 1) {
      const share = step / count;
      series[Math.round(from + (at - from) * share)] = Number((before + (value - before) * share).toFixed(3));
    }
    last = [at, value];
    answer = null;
    paint(range);
  }

  function end() {
    if (!range) return;
    range = null;
    take([...series]);
  }

  function paint(held) {
    const { low, high } = held ?? limits(series, answer);
    const all = series.length + horizon - 1;
    const x = (at) => (WIDTH * at) / all;
    const y = (value) => HEIGHT - (HEIGHT * (value - low)) / (high - low);
    const line = (values, from) =>
      values.map((value, at) => `${at ? "L" : "M"}${x(from + at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    const end = series.length - 1;
    const drawn = [s("line", { x1: x(end), x2: x(end), y1: 0, y2: HEIGHT, class: "now" })];
    if (answer) {
      const { forecast, interval } = answer;
      if (interval) {
        const back = interval.low
          .map((value, at) => `L${x(end + 1 + at).toFixed(1)} ${y(value).toFixed(1)}`)
          .reverse()
          .join("");
        drawn.push(s("path", { d: `${line(interval.high, end + 1)}${back}Z`, class: "band" }));
      }
      drawn.push(s("path", { d: line(naive(series, forecast.length, answer.choice?.season), end), class: "naive" }));
      drawn.push(s("path", { d: line([series[end], ...forecast], end), class: "forecast" }));
    }
    drawn.push(s("path", { d: line(series, 0), class: "history" }));
    fill(plot, drawn);
    axes.show([-end, horizon], [low, high]);
  }
}

/** What whoever knows nothing would say: the season before, or else the last value, for ever. */
function naive(values, count, season) {
  const last = values.at(-1);
  return [
    last,
    ...Array.from({ length: count }, (_, at) => (season > 1 ? values[values.length - season + (at % season)] : last)),
  ];
}

function limits(values, answer) {
  const all = [
    ...values,
    ...(answer ? answer.forecast : []),
    ...(answer?.interval ? [...answer.interval.low, ...answer.interval.high] : []),
  ];
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const room = (high - low) * 0.08 || 1;
  return { low: low - room, high: high + room };
}

function tell({ held_out: errors, choice, interval, warnings }) {
  const rows = errors
    ? ["model", "last_value", "drift", "seasonal_naive"]
        .filter((name) => errors[name])
        .map((name) => [t(`series.by.${name}`), errors[name][0]])
    : [];
  const worst = Math.max(...rows.map(([, error]) => error));
  return [
    h(
      "ul",
      { class: "legend" },
      h("li", { class: "forecast" }, t("series.forecast")),
      interval &&
        h("li", { class: "band" }, t("series.interval", { level: number(interval.level, { style: "percent" }) })),
      h("li", { class: "naive" }, t(choice?.season > 1 ? "series.naive.season" : "series.naive")),
    ),
    rows.length
      ? h(
          "section",
          {},
          h("h2", {}, t("series.errors")),
          h("p", { class: "hint" }, t("series.errors.hint")),
          h(
            "ol",
            { class: "bars errors" },
            rows.map(([name, error]) => {
              const amount = h("span", { class: "amount" });
              amount.style.setProperty("width", `${(100 * error) / worst}%`);
              return h(
                "li",
                {},
                h("span", { class: "name" }, name),
                h("span", { class: "track", "aria-hidden": "true" }, amount),
                h("span", { class: "value" }, figure(error)),
              );
            }),
          ),
        )
      : null,
    choice &&
      h(
        "p",
        { class: "fine" },
        t(`series.of.${choice.difference}`),
        choice.season ? ` ${t("series.season", { season: choice.season })}` : "",
      ),
    warnings.map((warning) => h("p", { class: "strange" }, told(warning))),
  ].flat();
}
