/** The scales of a plot: values up its side and steps along its foot, as the reader writes numbers. */

import { fill, h, style } from "./dom.js";
import { number } from "./words.js";

const WANTED = 5;
const ROUND = [1, 2, 5, 10];

/** Round values between two, about so many of them: 1, 2 or 5 times a power of ten apart. */
export function rounded(low, high) {
  const rough = (high - low) / WANTED;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ROUND.find((each) => each * power >= rough);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, at) => (first + at) * step);
}

/** Where a plot begins and where it ends, for one that has no room for more. */
export function ends(low, high) {
  return [low, high];
}

/** A plot between its scales. Screen readers are told of the plot itself. */
export class Axes {
  constructor(plot, { up = "", across, places = rounded }) {
    this.places = places;
    this.digits = places === ends ? 3 : 6;
    this.side = h("div", { class: "side-scale", "aria-hidden": "true" });
    this.foot = h("div", { class: "foot-scale", "aria-hidden": "true" });
    this.element = h(
      "div",
      { class: places === ends ? "axes small" : "axes" },
      up ? h("p", { class: "up", "aria-hidden": "true" }, up) : null,
      this.side,
      plot,
      this.foot,
      h("p", { class: "across", "aria-hidden": "true" }, across),
    );
  }

  /** Put values to the places between the ends of both scales. */
  show([left, right], [low, high]) {
    const mark = (value, from, to, edge) => {
      const words = h("span", {}, number(value, { maximumSignificantDigits: this.digits }));
      style(words, { [edge]: `${(100 * (value - from)) / (to - from)}%` });
      return words;
    };
    fill(
      this.foot,
      this.places(left, right).map((value) => mark(value, left, right, "left")),
    );
    fill(
      this.side,
      this.places(low, high).map((value) => mark(value, low, high, "bottom")),
    );
    const longest = Math.max(...[...this.side.children].map((words) => words.textContent.length));
    style(this.side, { "min-width": `calc(${longest}ch + 0.7rem)` });
  }
}
