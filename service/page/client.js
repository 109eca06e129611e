/** Asks the service, under whatever prefix it lies and with the reader's key; what goes wrong is a `Refusal`. */

export const base = new URL("../", import.meta.url);
/** The service's address, as a program would be given it. */
export const address = base.href.replace(/\/$/, "");
export const JSON_KIND = "application/json";

const KEPT = "chapterhouse.key";
const KINDS = {
  401: "key",
  403: "scope",
  404: "missing",
  413: "large",
  415: "kind",
  422: "wrong",
  429: "busy",
  503: "away",
  504: "late",
};

/** Why there is no answer: `kind` is the word under which the page explains it, `detail` what the service said. */
export class Refusal extends Error {
  constructor(kind, { detail = "", after = null, status = 0 } = {}) {
    super(detail || kind);
    Object.assign(this, { kind, detail, after, status });
  }
}

let held = remembered();

/** The reader's key: kept in this tab, or only in this page where the browser keeps nothing. */
export const key = {
  get: () => held,
  keep(value) {
    held = value;
    attempt(() => sessionStorage.setItem(KEPT, value));
  },
  forget() {
    held = "";
    attempt(() => sessionStorage.removeItem(KEPT));
  },
};

/** The reply to a request. Throws Refusal, or AbortError where the signal came first. */
export async function ask(path, { method = "GET", query = {}, body, kind, accept = JSON_KIND, prefer, signal } = {}) {
  const url = new URL(path, base);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  }
  const headers = { accept };
  if (kind) headers["content-type"] = kind;
  if (prefer) headers.prefer = prefer;
  if (key.get()) headers.authorization = `Bearer ${key.get()}`;
  let reply;
  try {
    reply = await fetch(url, { method, headers, body, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw tell(new Refusal("gone"));
  }
  if (!reply.ok) throw tell(await refusalOf(reply));
  document.dispatchEvent(new CustomEvent("answered"));
  return reply;
}

export async function get(path, options = {}) {
  return (await ask(path, options)).json();
}

export async function post(path, document, options = {}) {
  return ask(path, { method: "POST", body: JSON.stringify(document), kind: JSON_KIND, ...options });
}

let listed = null;

/** The models of the store; asked once, until somebody wants to know what is loaded now. */
export async function models({ again = false, signal } = {}) {
  if (listed === null || again) listed = (await get("models", { signal })).models;
  return listed;
}

export function forgetModels() {
  listed = null;
}

async function refusalOf(reply) {
  const after = Number.parseInt(reply.headers.get("retry-after") ?? "", 10);
  let detail = "";
  try {
    const problem = await reply.json();
    detail = problem.detail ?? problem.error ?? problem.title ?? "";
  } catch {
    /* what answered was no service: a proxy, perhaps */
  }
  return new Refusal(KINDS[reply.status] ?? "failed", {
    detail,
    after: Number.isNaN(after) ? null : after,
    status: reply.status,
  });
}

function remembered() {
  return attempt(() => sessionStorage.getItem(KEPT)) ?? "";
}

function attempt(act) {
  try {
    return act();
  } catch {
    return null; // storage is switched off
  }
}

function tell(refusal) {
  document.dispatchEvent(new CustomEvent("refused", { detail: refusal }));
  return refusal;
}
