/** Elements in one call: h("p", { class: "note", onclick: act }, "words", child). */

const SVG = "http://www.w3.org/2000/svg";
const OWN = new Set(["checked", "disabled", "selected", "value", "width", "height"]);

export function h(name, attributes = {}, ...children) {
  return furnish(document.createElement(name), attributes, children);
}

/** The same of a drawing. */
export function s(name, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, name), attributes, children);
}

function furnish(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") style(element, value);
    else if (OWN.has(name) && !(element instanceof SVGElement)) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

/** Styles of one element, by the CSSOM: the page's policy takes no `style` attributes. */
export function style(element, properties) {
  for (const [name, value] of Object.entries(properties)) element.style.setProperty(name, value);
}

export function fill(element, ...children) {
  element.replaceChildren(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

/** Have a screen reader say it, once it has finished what it is saying. */
export function say(words) {
  document.getElementById("spoken").textContent = words;
}

export const isStill = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** A pause that ends early where the view is left. */
export function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("left", "AbortError"));
    });
  });
}
