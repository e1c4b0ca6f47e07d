// Calls of the API: the key, failures in the API's own words, streams that end when their reader leaves.

import { EventParser } from "./sse.js";

const KEY = "ragstone.key";
const SILENCE_MS = 50_000; // an open stream sends a heartbeat every 15 s

/** A failure: `code`, `message`, `requestId`, and `retryAfterS` where waiting may help. */
export class ApiError extends Error {
  constructor(message, { code = "", status = 0, requestId = "", retryAfterS = null } = {}) {
    super(message);
    Object.assign(this, { code, status, requestId, retryAfterS });
  }
}

/** Dispatches `unauthorized` when a call was refused for want of a key. */
export const gate = new EventTarget();

/** The key lives in this tab only. */
export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

/** A path with these query parameters; empty ones are left out. */
export function address(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

/** One call that answers JSON. Throws ApiError, or AbortError where the signal says so. */
export async function call(method, path, { body, signal } = {}) {
  const response = await send(method, path, { body, signal });
  return response.json();
}

/** One call that answers text. */
export async function callText(path, { signal } = {}) {
  const response = await send("GET", path, { signal });
  return response.text();
}

/** One call that answers bytes. */
export async function callBlob(path) {
  const response = await send("GET", path, {});
  return response.blob();
}

/** All items of a list, page by page. */
export async function* pages(path, parameters = {}, { signal } = {}) {
  let cursor = "";
  do {
    const page = await call("GET", address(path, { ...parameters, cursor }), { signal });
    yield page;
    cursor = page.next_cursor;
  } while (cursor);
}

/** Events of a stream as they come: name and parsed content. Whoever stops reading ends the request. */
export async function* stream(method, path, { body, signal } = {}) {
  const leaving = new AbortController();
  const response = await send(method, path, { body, signal: signal ? either(signal, leaving.signal) : leaving.signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const parser = new EventParser();
  try {
    for (;;) {
      const { done, value } = await readInTime(reader);
      if (done) return;
      for (const event of parser.feed(value)) yield { name: event.name, content: JSON.parse(event.data) };
    }
  } catch (error) {
    throw error instanceof TypeError ? unreachable("The connection broke off.") : error;
  } finally {
    leaving.abort();
  }
}

/** Send a form and tell how far it is, between 0 and 1: `fetch` cannot. */
export function upload(path, form, { headers = {}, onprogress, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    for (const [name, value] of Object.entries({ ...keyHeader(), ...headers })) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.total && onprogress(event.loaded / event.total);
    request.onload = () => {
      if (request.status < 400) resolve(JSON.parse(request.responseText));
      else reject(failure(request.status, request.responseText, (name) => request.getResponseHeader(name)));
    };
    request.onerror = () => reject(unreachable());
    request.onabort = () => reject(new DOMException("stopped", "AbortError"));
    signal?.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

/** Wait; ends early with an AbortError where the signal says so. */
export function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("stopped", "AbortError"));
    });
  });
}

async function send(method, path, { body, signal }) {
  const headers = keyHeader();
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal });
  } catch (error) {
    throw error.name === "AbortError" ? error : unreachable();
  }
  if (!response.ok) throw failure(response.status, await response.text(), (name) => response.headers.get(name));
  return response;
}

function failure(status, text, header) {
  if (status === 401) gate.dispatchEvent(new Event("unauthorized"));
  const retryAfter = Number.parseInt(header("Retry-After"), 10);
  const known = { status, requestId: header("X-Request-ID") ?? "", retryAfterS: Number.isNaN(retryAfter) ? null : retryAfter };
  try {
    const { error } = JSON.parse(text);
    const details = (error.details ?? []).map(({ loc, msg }) => `${loc.join(".")}: ${msg}`).join("; ");
    return new ApiError(details ? `${error.message} (${details})` : error.message, { ...known, code: error.code });
  } catch {
    return new ApiError(`The server answered with status ${status}.`, known);
  }
}

function unreachable(message = "The server cannot be reached.") {
  return new ApiError(message, { code: "connection_lost" });
}

function keyHeader() {
  return key.get() ? { Authorization: `Bearer ${key.get()}` } : {};
}

async function readInTime(reader) {
  let timer;
  const silence = new Promise((_, reject) => {
    timer = setTimeout(() => reject(unreachable("The connection fell silent.")), SILENCE_MS);
  });
  try {
    return await Promise.race([reader.read(), silence]);
  } finally {
    clearTimeout(timer);
  }
}

function either(...signals) {
  const joined = new AbortController();
  for (const signal of signals) {
    if (signal.aborted) joined.abort();
    signal.addEventListener("abort", () => joined.abort(), { once: true, signal: joined.signal });
  }
  return joined.signal;
}
