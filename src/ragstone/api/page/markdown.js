// An answer as Markdown with footnotes, for pasting elsewhere; what documents say cannot become markup there.

import { byId, make } from "./dom.js";
import { placeWords, shownName } from "./text.js";

const SPECIAL = /[\\`*_{}[\]<>()#+!|~&$^=-]/g;

/** The answer's parts (see answer.js) and the citations that they hold, in order. */
export function asMarkdown(parts, { isComplete, done }) {
  const citations = [...new Set(parts.filter(({ citation }) => citation).map(({ citation }) => citation))];
  const body = parts.map((part) => (part.citation ? `[^${citations.indexOf(part.citation) + 1}]` : part.text)).join("");
  const notes = citations.map((citation, place) => `[^${place + 1}]: ${footnote(citation)}`);
  return [body.trim(), warning(isComplete, done), notes.join("\n")].filter(Boolean).join("\n\n") + "\n";
}

function footnote({ source, verified }) {
  const where = [escaped(shownName(source.title)), escaped(placeWords(source.location))].filter(Boolean).join(", ");
  const quote = escaped(source.quote.replace(/\s+/g, " ").trim());
  return `${where}: "${quote}"${verified ? "" : " (not verified)"}`;
}

function warning(isComplete, done) {
  if (!isComplete) return "*This answer is incomplete.*";
  return done.abstained || done.grounded === "full" ? "" : "*Not all of this answer is supported by its sources.*";
}

function escaped(text) {
  return text.replace(SPECIAL, "\\$&").replace(/:(?=\/\/)|(?<=www)\./gi, "\\$&"); // nor a bare address a link
}

/** Copy a text; where the page has no right to the clipboard (plain HTTP beyond loopback) by way of a selection. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = make("textarea", { class: "for-screen-readers", "aria-hidden": "true" });
    field.value = text;
    byId("turns").append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
}
