/** Arrays of numbers as pixels on a canvas, and NumPy's file format read. */

import { h } from "./dom.js";

/** From nothing to much. */
export const HEAT = ["#000000", "#7a1f12", "#f2773b", "#fff3d6"];

/** A canvas of an image of 0 to 255, H×W×C. */
export function picture(rows, attributes = {}) {
  const canvas = h("canvas", { role: "img", ...attributes, width: rows[0].length, height: rows.length });
  const grey = rows[0][0].length === 1;
  put(canvas, (at, y, x, data) => {
    const pixel = rows[y][x];
    data[at] = pixel[0];
    data[at + 1] = grey ? pixel[0] : pixel[1];
    data[at + 2] = grey ? pixel[0] : pixel[2];
    data[at + 3] = 255;
  });
  return canvas;
}

/** A canvas of numbers h×w through a scale of colours: from `low` to `high`, evenly. */
export function map(rows, { low, high, colours = ["#000000", "#ffffff"], ...attributes }) {
  const canvas = h("canvas", { role: "img", ...attributes, width: rows[0].length, height: rows.length });
  const stops = colours.map((colour) => [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16)));
  const span = high - low || 1;
  put(canvas, (at, y, x, data) => {
    const place = Math.min(1, Math.max(0, (rows[y][x] - low) / span)) * (stops.length - 1);
    const below = Math.min(Math.floor(place), stops.length - 2);
    const share = place - below;
    for (let channel = 0; channel < 3; channel += 1) {
      data[at + channel] = stops[below][channel] * (1 - share) + stops[below + 1][channel] * share;
    }
    data[at + 3] = 255;
  });
  return canvas;
}

function put(canvas, paint) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  for (let y = 0, at = 0; y < canvas.height; y += 1) {
    for (let x = 0; x < canvas.width; x += 1, at += 4) paint(at, y, x, image.data);
  }
  context.putImageData(image, 0, 0);
}

/** Images uint8 (n, H, W, C) of an .npy file, each as something that draws itself on a canvas. */
export function readImages(buffer) {
  const length = new DataView(buffer).getUint16(8, true);
  const head = new TextDecoder().decode(new Uint8Array(buffer, 10, length));
  const [count, height, width, channels] = /\(([^)]*)\)/.exec(head)[1].split(",").map(Number);
  const bytes = new Uint8Array(buffer, 10 + length);
  const size = height * width * channels;
  return Array.from({ length: count }, (_, n) => ({
    width,
    height,
    draw(canvas) {
      canvas.width = width;
      canvas.height = height;
      put(canvas, (at, y, x, data) => {
        const from = n * size + (y * width + x) * channels;
        for (let channel = 0; channel < 3; channel += 1)
          data[at + channel] = bytes[from + (channels === 1 ? 0 : channel)];
        data[at + 3] = 255;
      });
    },
  }));
}
