/** The words of the page in the reader's language, and numbers as it writes them. */

export const LANGUAGES = { en: "English", zh: "中文" };
/** Below this a number is rounding, and below this it takes too many noughts to read. */
const NOTHING = 1e-12;
const SMALL = 1e-5;
const KEPT = "chapterhouse.language";

let words = {};
export let language = "en";

/** The language chosen here before, or else the first of the browser's that there is. */
export function preferred() {
  const kept = remembered();
  if (kept in LANGUAGES) return kept;
  const known = navigator.languages.map((tag) => tag.toLowerCase().split("-")[0]);
  return known.find((tag) => tag in LANGUAGES) ?? "en";
}

export async function speak(wanted, { keep = false } = {}) {
  const reply = await fetch(new URL(`words/${wanted}.json`, import.meta.url));
  words = await reply.json();
  language = wanted;
  document.documentElement.lang = wanted === "zh" ? "zh-Hans" : wanted;
  if (keep) remember(wanted);
}

/** The words of a key, with `{name}` replaced by values. */
export function t(key, values = {}) {
  const found = words[key];
  if (found === undefined) {
    console.error(`no words for ${key} in ${language}`);
    return key;
  }
  return found.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** A sentence of the service in the reader's language, where the page knows it. */
export function told(sentence) {
  for (const [key, pattern] of Object.entries(words)) {
    if (!key.startsWith("note: ")) continue;
    const parts = key.slice(6).split(/\{(\w+)\}/);
    const expression = parts.map((part, at) =>
      at % 2 ? `(?<${part}>.+?)` : part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"),
    );
    const match = new RegExp(`^${expression.join("")}$`).exec(sentence);
    if (match) return pattern.replace(/\{(\w+)\}/g, (whole, name) => match.groups[name] ?? whole);
  }
  return sentence;
}

/** The reader's own variety of the language, for dates and numbers. */
export function locale() {
  return navigator.languages.find((tag) => tag.toLowerCase().startsWith(language)) ?? language;
}

export function number(value, options = {}) {
  return new Intl.NumberFormat(locale(), options).format(value);
}

export function percent(value, digits = 1) {
  return number(value, { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A measured number with as many digits as are worth reading. */
export function figure(value, digits = 3) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size < NOTHING) return number(0);
  return number(
    value,
    size < SMALL ? { notation: "scientific", maximumSignificantDigits: 2 } : { maximumSignificantDigits: digits },
  );
}

function remembered() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

function remember(wanted) {
  try {
    localStorage.setItem(KEPT, wanted);
  } catch {
    /* a browser that keeps nothing is asked again next time */
  }
}
