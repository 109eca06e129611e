/** What the service is doing: the models it holds, their queues and batches, and how much is asked of it. */

import { Axes, ends } from "../axes.js";
import { ask, get, models } from "../client.js";
import { fill, h, pause, s } from "../dom.js";
import { nameOf } from "../names.js";
import { notice } from "../notices.js";
import { same } from "../same.js";
import { table } from "../table.js";
import { figure, number, t } from "../words.js";

const EVERY_S = 2;
const KEPT = 60;
const ANSWERED = new Set([401, 403]);

export async function mount(root, signal) {
  const trouble = h("div", {});
  const numbers = h("div", { class: "numbers" });
  const memory = h("div", {});
  const recipe = same("service", { model: "lenet5-mnist" });
  const past = { asked: [], rows: [], waiting: [], busy: [] };
  let before = null;
  fill(root, trouble, numbers, memory, recipe.element);

  while (!signal.aborted) {
    try {
      if (!document.hidden) await look();
      fill(trouble);
    } catch (error) {
      const said = notice(error, null, signal);
      if (said) fill(trouble, said);
    }
    await pause(EVERY_S, signal).catch(() => null);
  }

  async function look() {
    const [known, ready] = await Promise.all([models({ again: true, signal }), get("health/ready", { signal })]);
    const counted = await metrics(signal);
    if (signal.aborted) return;
    showNumbers(known, ready, counted);
    showTable(known, counted);
  }

  function showNumbers(known, ready, counted) {
    const held = known.filter((model) => model.loaded).length;
    const tiles = [tile(t("service.models"), `${number(held)} / ${number(known.length)}`)];
    if (counted) {
      const now = {
        at: performance.now(),
        asked: sum(counted, "chapterhouse_requests_total"),
        rows: sum(counted, "chapterhouse_batch_rows_sum"),
        batches: sum(counted, "chapterhouse_batch_rows_count"),
        busy: sum(counted, "chapterhouse_device_busy_seconds_total"),
      };
      const passed = before ? (now.at - before.at) / 1000 : 0;
      const rate = passed ? Math.max(0, (now.asked - before.asked) / passed) : 0;
      const size =
        before && now.batches > before.batches ? (now.rows - before.rows) / (now.batches - before.batches) : 0;
      const busy = passed ? Math.min(1, Math.max(0, (now.busy - before.busy) / passed)) : 0;
      const waiting = sum(counted, "chapterhouse_queue_rows");
      before = now;
      keep(past.asked, rate);
      keep(past.rows, size);
      keep(past.waiting, waiting);
      keep(past.busy, busy);
      tiles.push(
        tile(t("service.rate"), number(rate, { maximumFractionDigits: 1 }), past.asked),
        tile(t("service.batch"), number(size, { maximumFractionDigits: 1 }), past.rows),
        tile(t("service.waiting"), number(waiting), past.waiting),
        tile(t("service.busy"), number(busy, { style: "percent" }), past.busy),
      );
    } else tiles.push(h("p", { class: "hint" }, t("service.closed")));
    fill(
      numbers,
      tiles,
      ready.impaired?.length ? h("p", { class: "strange", lang: "en" }, ready.impaired.join(" ")) : null,
    );
  }

  function showTable(known, counted) {
    const held = known.filter((model) => model.loaded);
    const of = (name, id) =>
      counted
        ?.filter((each) => each.name === name && each.labels.model === id)
        .reduce((total, each) => total + each.value, 0);
    const mean = (name, id) => of(`${name}_sum`, id) / of(`${name}_count`, id);
    const rows = held.map((model) => [
      [nameOf(model.id), h("span", { class: "fine" }, h("code", {}, model.id))],
      t(`service.task.${model.task}`),
      number(model.parameters ?? 0),
      ...(counted
        ? [
            number(of("chapterhouse_batch_rows_sum", model.id) ?? 0),
            figure(mean("chapterhouse_batch_rows", model.id)),
            figure(1000 * mean("chapterhouse_forward_seconds", model.id)),
            number(of("chapterhouse_queue_rows", model.id) ?? 0),
          ]
        : []),
    ]);
    const columns = ["model", "task", "parameters", ...(counted ? ["rows", "size", "forward", "queue"] : [])];
    fill(
      memory,
      h("h2", {}, t("service.held")),
      table(
        t("service.held"),
        columns.map((name) => t(`service.${name}`)),
        rows,
      ),
    );
  }
}

/** The samples of `/metrics`; null where that is another key's business. */
async function metrics(signal) {
  try {
    const reply = await ask("metrics", { accept: "text/plain", signal });
    return [...(await reply.text()).matchAll(/^(chapterhouse_\w+)(?:\{([^}]*)\})? ([\d.e+-]+)$/gm)].map(
      ([, name, labels = "", value]) => ({
        name,
        value: Number(value),
        labels: Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, label, text]) => [label, text])),
      }),
    );
  } catch (error) {
    if (ANSWERED.has(error.status)) return null;
    throw error;
  }
}

function sum(counted, name) {
  return counted.filter((each) => each.name === name).reduce((total, each) => total + each.value, 0);
}

function keep(values, value) {
  values.push(value);
  if (values.length > KEPT) values.shift();
}

function tile(name, value, past) {
  return h(
    "div",
    { class: "card figure" },
    h("p", { class: "fine" }, name),
    h("p", { class: "big" }, value),
    past && past.length > 1 ? spark(past) : null,
  );
}

/** What it was, up to now, which is at the right. */
function spark(values) {
  const top = Math.max(...values) || 1;
  const first = KEPT - values.length;
  const path = values
    .map((value, at) => `${at ? "L" : "M"}${(100 * (first + at)) / (KEPT - 1)} ${23 - (22 * value) / top}`)
    .join("");
  const curve = s(
    "svg",
    { viewBox: "0 0 100 24", preserveAspectRatio: "none", class: "curve", "aria-hidden": "true" },
    s("path", { d: path }),
  );
  const axes = new Axes(curve, { across: t("axis.seconds"), places: ends });
  axes.show([EVERY_S * (1 - KEPT), 0], [0, top]);
  return axes.element;
}
