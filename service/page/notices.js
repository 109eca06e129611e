/** What went wrong, as a person would say it, with what can be done; a busy service is asked again by itself. */

import { Refusal } from "./client.js";
import { h } from "./dom.js";
import { t } from "./words.js";

/** The notice of an error; `again` is what its button does. Nothing where the reader only went elsewhere. */
export function notice(error, again, signal) {
  if (error.name === "AbortError") return null;
  if (!(error instanceof Refusal)) {
    console.error(error);
    error = new Refusal("failed", { detail: error.message });
  }
  const button = again && h("button", { type: "button", class: "quiet", onclick: () => again() }, t("again"));
  const waits = (error.kind === "busy" || error.kind === "away") && again;
  const count = h("span", { class: "count" });
  const element = h(
    "div",
    { class: `notice ${error.kind}`, role: "alert" },
    h("p", {}, t(`error.${error.kind}`), " ", count),
    error.detail ? h("p", { class: "detail", lang: "en" }, error.detail) : null,
    button,
  );
  if (waits) countDown(error.after ?? 2, count, again, signal, element);
  return element;
}

function countDown(seconds, count, again, signal, element) {
  let left = Math.max(1, seconds);
  const tick = () => {
    if (signal?.aborted) return;
    if (left <= 0) {
      if (element.isConnected) again();
      return;
    }
    count.textContent = t("again.in", { seconds: left });
    left -= 1;
    setTimeout(tick, 1000);
  };
  tick();
}
