// One answer as it comes: the fold of its events, and its text with citation marks that lead to their passages.

import { make } from "./dom.js";
import { passageLink } from "./passage.js";
import { CodePoints, sourceWords } from "./text.js";

const MARK = /\[(\d{1,4})\]/g;

/** What is known of an answer so far; `apply` adds an event. The names are those of the API. */
export class Answer {
  question = "";
  model = "";
  text = "";
  citations = [];
  sources = [];
  metadata = null;
  done = null;
  error = null;

  apply({ name, content }) {
    if (name === "meta") Object.assign(this, { question: content.question, model: content.model });
    if (name === "sources") this.sources = content.sources;
    if (name === "token") this.text += content.text;
    if (name === "citation") this.citations.push(content);
    if (name === "metadata") this.metadata = content.metadata;
    if (name === "done") this.done = content;
    if (name === "error") this.error = content;
  }

  get isComplete() {
    return this.done !== null;
  }

  /** The text in parts: `{text}`, with `isUnsupported` where it is, and `{text, citation}` for each mark. */
  parts() {
    const marks = this.#marks();
    const spans = this.#unsupported();
    const parts = [];
    let at = 0;
    for (const mark of [...marks, { start: this.text.length, end: this.text.length }]) {
      parts.push(...plainParts(this.text, at, mark.start, spans));
      if (mark.citation) parts.push({ text: this.text.slice(mark.start, mark.end), citation: mark.citation });
      at = mark.end;
    }
    return parts;
  }

  /** Marks with the citation that each stands for: the last one of its number whose claim has ended before it. */
  #marks() {
    if (!this.citations.length) return [];
    const codePoints = new CodePoints(this.text);
    const claims = this.citations.map((citation) => ({ citation, end: codePoints.units(citation.answer.end) }));
    return [...this.text.matchAll(MARK)].map((found) => {
      const claim = claims.findLast(({ citation, end }) => citation.n === Number(found[1]) && end <= found.index);
      return { start: found.index, end: found.index + found[0].length, citation: claim?.citation };
    }).filter(({ citation }) => citation);
  }

  #unsupported() {
    const codePoints = new CodePoints(this.text);
    return (this.done?.unsupported ?? []).map(({ start, end }) => [codePoints.units(start), codePoints.units(end)]);
  }
}

/** `text[start:end]`, cut where unsupported spans begin and end. */
function plainParts(text, start, end, spans) {
  const cuts = spans.flat().filter((cut) => cut > start && cut < end).sort((one, other) => one - other);
  const edges = [start, ...cuts, end];
  return edges.slice(1).map((to, place) => {
    const from = edges[place];
    return { text: text.slice(from, to), isUnsupported: spans.some(([first, last]) => first <= from && to <= last && from < to) };
  }).filter((part) => part.text);
}

/** The element that shows an answer's text. Parts that stay as they are keep their elements, and so focus and selection. */
export class AnswerText {
  #shown = [];

  constructor() {
    this.element = make("div", { class: "answer-text", dir: "auto", "aria-live": "polite", "aria-busy": "true" });
  }

  show(parts, { isBusy }) {
    const same = parts.findIndex((part, place) => !isSame(part, this.#shown[place]?.part));
    const kept = same < 0 ? parts.length : same;
    const grown = parts[kept];
    const last = this.#shown[kept];
    if (last && grown && !grown.citation && !last.part.citation && grown.isUnsupported === last.part.isUnsupported) {
      last.element.textContent = grown.text; // the usual case: the last text has grown
      last.part = grown;
      this.#replaceFrom(kept + 1, parts);
    } else this.#replaceFrom(kept, parts);
    this.element.setAttribute("aria-busy", String(isBusy));
  }

  #replaceFrom(place, parts) {
    for (const { element } of this.#shown.splice(place)) element.remove();
    for (const part of parts.slice(place)) {
      const element = part.citation ? markLink(part.citation) : textElement(part);
      this.element.append(element);
      this.#shown.push({ part, element });
    }
  }
}

function isSame(part, other) {
  return other !== undefined && part.text === other.text && part.citation === other.citation && part.isUnsupported === other.isUnsupported;
}

function textElement({ text, isUnsupported }) {
  if (!isUnsupported) return make("span", { class: "piece" }, text);
  return make("span", { class: "piece unsupported", title: "Not supported by the sources" }, text);
}

/** A number that leads to the passage which it stands for. */
export function markLink(citation) {
  const where = sourceWords(citation.source, ", ");
  const label = `Citation ${citation.n}: ${where}${citation.verified ? "" : ", not verified"}`;
  const attributes = { class: citation.verified ? "mark" : "mark unverified", href: passageLink(citation.source), "aria-label": label, title: label };
  return make("a", attributes, citation.verified ? `${citation.n}` : `${citation.n}?`);
}
