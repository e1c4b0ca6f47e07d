// A place in a document: its text around a quote, which is marked. Links name it, so that it can be shared.

import { call, callBlob, callText, pages } from "./api.js";
import { announce, byId, errorNotice, fill, make } from "./dom.js";
import { CodePoints, counted, kindWords, shownName, sizeWords, whereabouts } from "./text.js";

const AROUND = 3_000; // characters shown before and after a quote at first
const MORE = 10_000; // and further ones at a time
const TEXTS_KEPT = 4;
const texts = new Map();
const places = new Map();

/** The link of a citation's or search hit's place. What is known of the place is shown without asking again. */
export function passageLink(source) {
  const { document_id: document, version, start, end } = source;
  const hash = `#${new URLSearchParams({ document, version, start, end })}`;
  places.set(hash, source);
  return hash;
}

/** Open what the address says, now and whenever it changes. */
export function followLinks() {
  const dialog = byId("passage");
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => history.replaceState(null, "", location.pathname));
  byId("passage-link").addEventListener("click", async ({ target }) => {
    await navigator.clipboard?.writeText(location.href);
    target.textContent = "Copied";
    announce("The link was copied.");
    setTimeout(() => { target.textContent = "Copy link"; }, 2_000);
  });
  window.addEventListener("hashchange", openLinked);
  openLinked();
}

async function openLinked() {
  const hash = location.hash;
  const asked = new URLSearchParams(hash.slice(1));
  const id = asked.get("document");
  if (!id) return byId("passage").close(); // by the way back, perhaps
  const [version, start, end] = ["version", "start", "end"].map((name) => numberIn(asked.get(name)));
  return open({ id, version, start, end, known: places.get(hash) }, () => location.hash === hash);
}

function numberIn(text) {
  return /^\d{1,10}$/.test(text ?? "") ? Number(text) : null;
}

/** Show it, unless it is not `isWanted` any more once it is there. */
async function open({ id, version, start, end, known }, isWanted) {
  showHead(known ? shownName(known.title) : "Document", known ? whereabouts(known) : "");
  fill(byId("passage-body"), make("p", { class: "small" }, "Reading the text…"));
  byId("passage-note").textContent = "";
  for (const button of ["passage-link", "passage-download"]) byId(button).hidden = true; // until there is what they are for
  if (!byId("passage").open) byId("passage").showModal();
  try {
    const document = await call("GET", `/documents/${encodeURIComponent(id)}`);
    const text = await textOf(document, version);
    const place = known ?? (start === null ? null : await placeOf(document, version, start));
    if (!isWanted()) return;
    showHead(shownName(document.title), place ? whereabouts(place) : factsOf(document));
    byId("passage-note").textContent = noteOn(document, version);
    byId("passage-download").onclick = () => download(document);
    byId("passage-download").hidden = false;
    byId("passage-link").hidden = !navigator.clipboard;
    showText(document, text, start, end);
  } catch (error) {
    if (isWanted()) fill(byId("passage-body"), errorNotice(error, error.code === "document_not_found" ? "It was deleted, or the link is wrong." : ""));
  }
}

function showHead(title, place) {
  byId("passage-title").textContent = title;
  byId("passage-place").textContent = place;
}

function factsOf(document) {
  const facts = [kindWords(document), document.pages && counted(document.pages, "page"), sizeWords(document.bytes)];
  return [...facts, document.chunks && counted(document.chunks, "passage")].filter(Boolean).join(" · ");
}

function noteOn(document, version) {
  if (version === null || version === document.version) return `Version ${document.version}`;
  return `Version ${version}; the document is now at version ${document.version}`;
}

/** Texts are large, and never change: the last few are kept. */
async function textOf({ id, version: visible }, version) {
  const name = `${id} ${version ?? visible}`;
  if (!texts.has(name)) {
    texts.set(name, new CodePoints(await callText(`/documents/${id}/text${version ? `?version=${version}` : ""}`)));
    if (texts.size > TEXTS_KEPT) texts.delete(texts.keys().next().value);
  }
  return texts.get(name);
}

/** Page and headings of a place in the visible version, from the passage that holds it. */
async function placeOf(document, version, start) {
  if (version !== null && version !== document.version) return null;
  for await (const page of pages(`/documents/${document.id}/chunks`, { limit: 200 })) {
    const found = page.items.find((chunk) => start >= chunk.start && start < chunk.end);
    if (found) return found;
  }
  return null;
}

function showText(document, codePoints, start, end) {
  const body = byId("passage-body");
  const { text } = codePoints;
  const error = document.error ?? document.pending?.error;
  if (error) fill(body, errorNotice(error, "This document could not be read."));
  else fill(body);
  if (!text) return error || body.append(make("p", { class: "small" }, "There is no text yet."));
  const [from, to] = start === null ? [0, 0] : [codePoints.units(start), codePoints.units(end ?? start)];
  const mark = to > from ? make("mark", { tabindex: "-1" }, text.slice(from, to)) : null;
  const before = new Side(text, from, -1);
  const after = new Side(text, to, 1);
  body.append(before.button, make("div", { class: "text", dir: "auto" }, before.span, mark ?? "", after.span), after.button);
  body.scrollTop = 0;
  mark?.scrollIntoView({ block: "center" });
  mark?.focus({ preventScroll: true });
  if (mark) announce("The passage is open; the quote is marked.");
  return undefined;
}

/** The text on one side of the quote, as much as is wanted. */
class Side {
  constructor(text, at, direction) {
    Object.assign(this, { text, at, direction, shown: 0 });
    this.span = make("span");
    this.button = make("button", { type: "button", class: "quiet more", onclick: () => this.#grow(MORE) }, direction < 0 ? "More before" : "More after");
    this.#grow(AROUND);
  }

  get #whole() {
    return this.direction < 0 ? this.at : this.text.length - this.at;
  }

  #grow(by) {
    const scroller = byId("passage-body");
    const height = scroller.scrollHeight;
    this.shown = Math.min(this.#whole, this.shown + by);
    if (this.shown < this.#whole && splitsCharacter(this.text, this.at + this.direction * this.shown)) this.shown += 1;
    this.span.textContent = this.direction < 0 ? this.text.slice(this.at - this.shown, this.at) : this.text.slice(this.at, this.at + this.shown);
    this.button.hidden = this.shown === this.#whole;
    if (this.direction < 0) scroller.scrollTop += scroller.scrollHeight - height; // what is read stays where it is
  }
}

function splitsCharacter(text, at) {
  return /[\udc00-\udfff]/.test(text.charAt(at));
}

/** The original, saved under its name; a link would not carry the key. */
async function download({ id, filename }) {
  try {
    const url = URL.createObjectURL(await callBlob(`/documents/${id}/content`));
    make("a", { href: url, download: filename ?? `${id}.txt` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  } catch (error) {
    byId("passage-note").textContent = error.message;
  }
}
