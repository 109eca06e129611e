/** A sheet to draw on, by mouse, finger, pen or keyboard; or to put an image on. */

import { h, say, style } from "./dom.js";
import { t } from "./words.js";

const SIDE = 280;
const WIDTH = 20;
const STEP = 10;
const ARROWS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
const INK = "#1b1a18";
const SHEET = "#ffffff";

/** A field for an image file, which a button of the page opens; `take` is given what is chosen. */
export function imageField(take, more = {}) {
  const field = h("input", {
    type: "file",
    accept: "image/*",
    hidden: true,
    onchange: () => {
      const [file] = field.files;
      field.value = ""; // the same file may be chosen again
      if (file) take(file);
    },
    ...more,
  });
  return field;
}

/**
 * Take each image that is pasted or dropped anywhere, until the view is left. What it returns takes a file of any
 * origin: an image goes to `take`, and of anything else `refuse` is told what to say.
 */
export function imagesFor(take, refuse, signal) {
  const give = (files) => {
    const image = [...files].find((file) => file.type.startsWith("image/"));
    if (image) take(image);
    else if (files.length) {
      refuse(h("div", { class: "notice kind", role: "alert" }, h("p", {}, t("draw.wrong", { name: files[0].name }))));
    }
  };
  document.addEventListener("paste", (event) => give(event.clipboardData.files), { signal });
  document.addEventListener("dragover", (event) => event.preventDefault(), { signal });
  document.addEventListener(
    "drop",
    (event) => {
      event.preventDefault();
      give(event.dataTransfer.files);
    },
    { signal },
  );
  return (file) => give([file]);
}

/** A button below the sheet. */
export function tool(name, onclick, look = "quiet") {
  return h("button", { type: "button", class: look, onclick }, t(name));
}

/** The sheet with its tools, and what says how it is used. */
export function easel(pad, tools, ...below) {
  return h(
    "div",
    { class: "given" },
    pad.element,
    h("div", { class: "row pad-tools" }, ...tools),
    h("p", { class: "hint", id: "pad-keys" }, t("draw.keys")),
    ...below,
  );
}

export class Pad {
  #strokes = [];
  #file = null;
  #shown = null;
  #pen = [SIDE / 2, 60];
  #isDown = false;

  /** `onChange(isDone)` is told of everything drawn: of a stroke that goes on, and of one that is done. */
  constructor(onChange) {
    this.onChange = onChange;
    this.canvas = h("canvas", {
      class: "pad",
      width: SIDE,
      height: SIDE,
      tabindex: "0",
      role: "application",
      "aria-roledescription": t("draw.pad.role"),
      "aria-label": t("draw.pad"),
      "aria-describedby": "pad-keys",
      onpointerdown: (event) => this.#begin(event),
      onpointermove: (event) => this.#go(event),
      onpointerup: () => this.#end(),
      onpointercancel: () => this.#end(),
      onkeydown: (event) => this.#type(event),
      onblur: () => this.#lift(),
    });
    this.cursor = h("span", { class: "pen", "aria-hidden": "true" });
    this.hint = h("p", { class: "pad-hint", "aria-hidden": "true" }, t("draw.here"));
    this.element = h("div", { class: "sheet" }, this.canvas, this.cursor, this.hint);
    this.#draw();
  }

  get isEmpty() {
    return !this.#strokes.length && !this.#file;
  }

  /** What is to be sent: the file as it was given, or the drawing as PNG. */
  async blob() {
    if (this.#file) return this.#file;
    return new Promise((resolve) => this.canvas.toBlob(resolve, "image/png"));
  }

  /** A small copy of the sheet. */
  copy(attributes) {
    const copy = h("canvas", { role: "img", width: SIDE, height: SIDE, ...attributes });
    copy.getContext("2d").drawImage(this.canvas, 0, 0);
    return copy;
  }

  /** Put an image file on the sheet. Throws where the browser cannot show it; it is sent all the same. */
  async put(file) {
    this.#strokes = [];
    this.#file = file;
    this.#shown = await createImageBitmap(file).catch(() => null);
    this.#draw();
    this.onChange(true);
  }

  clear() {
    this.#strokes = [];
    this.#file = this.#shown = null;
    this.#isDown = false;
    this.#draw();
    this.onChange(true);
  }

  undo() {
    if (this.#file) return this.clear();
    this.#strokes.pop();
    this.#draw();
    return this.onChange(true);
  }

  #begin(event) {
    event.preventDefault();
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    this.element.classList.remove("keyed");
    this.#start(this.#at(event));
  }

  #start(point) {
    if (this.#file) this.#file = this.#shown = null;
    this.#isDown = true;
    this.#strokes.push([point]);
    this.#draw();
  }

  #go(event) {
    if (!this.#isDown || !event.isPrimary) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) this.#strokes.at(-1).push(this.#at(each));
    this.#draw();
    this.onChange(false);
  }

  #end() {
    if (!this.#isDown) return;
    this.#isDown = false;
    this.onChange(true);
  }

  #lift() {
    if (this.#isDown) this.#end();
    this.element.classList.remove("keyed");
  }

  #at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE];
  }

  #type(event) {
    const direction = ARROWS[event.key];
    if (direction) this.#move(direction, event.shiftKey ? 2 : STEP);
    else if (event.key === " ") this.#toggle();
    else if (event.key === "Backspace") this.undo();
    else if (event.key === "Escape" || event.key === "Delete") this.clear();
    else return;
    event.preventDefault();
    this.element.classList.add("keyed");
    this.#place();
  }

  #move([x, y], step) {
    this.#pen = [x * step + this.#pen[0], y * step + this.#pen[1]].map((at) => Math.min(SIDE - 8, Math.max(8, at)));
    if (!this.#isDown) return;
    this.#strokes.at(-1).push([...this.#pen]);
    this.#draw();
    this.onChange(false);
  }

  #toggle() {
    if (this.#isDown) {
      this.#end();
      say(t("draw.pen.up"));
    } else {
      this.#start([...this.#pen]);
      say(t("draw.pen.down"));
    }
  }

  #place() {
    const [x, y] = this.#pen.map((at) => `${(100 * at) / SIDE}%`);
    style(this.cursor, { left: x, top: y });
    this.cursor.classList.toggle("down", this.#isDown);
  }

  #draw() {
    const context = this.canvas.getContext("2d");
    context.fillStyle = SHEET;
    context.fillRect(0, 0, SIDE, SIDE);
    this.hint.hidden = !this.isEmpty;
    if (this.#shown) this.#show(context);
    Object.assign(context, { strokeStyle: INK, lineWidth: WIDTH, lineCap: "round", lineJoin: "round" });
    for (const [first, ...rest] of this.#strokes) {
      context.beginPath();
      context.moveTo(...first);
      for (const point of rest.length ? rest : [first]) context.lineTo(...point);
      context.stroke();
    }
  }

  #show(context) {
    const { width, height } = this.#shown;
    const scale = Math.min(SIDE / width, SIDE / height);
    context.imageSmoothingEnabled = scale < 2;
    context.drawImage(
      this.#shown,
      (SIDE - width * scale) / 2,
      (SIDE - height * scale) / 2,
      width * scale,
      height * scale,
    );
  }
}
