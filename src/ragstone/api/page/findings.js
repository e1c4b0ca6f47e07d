// What is said below an answer: how far it can be trusted, what it cites, what was searched, how long it took.

import { markLink } from "./answer.js";
import { make } from "./dom.js";
import { passageLink } from "./passage.js";
import { counted, sourceWords } from "./text.js";

const REASONS = {
  no_results: "Nothing in this collection can be searched yet. Add documents, or wait until they are ready.",
  low_score: "Nothing in these documents is close enough to the question.",
  insufficient_context: "The documents touch on the subject, but no passage in them answers the question.",
};
const DEGRADED = {
  llm: "The language model could not be reached: instead of its answer you see sentences quoted from your documents.",
  dense: "The embedding model could not be reached: the search went by words alone, not by meaning.",
  sparse: "The search went by meaning alone, not by words.",
  rerank: "The re-ranker could not be reached: passages stand in the order of the first search.",
};
const CUT = {
  length: "The answer reached its longest allowed length and breaks off.",
  content_filter: "The model's provider withheld part of this answer.",
};
const STAGES = {
  queue_ms: "waiting in line", condense_ms: "rewriting the question", embedding_ms: "embedding", search_ms: "search",
  rerank_ms: "re-ranking", evidence_ms: "weighing evidence", generation_ms: "writing", verification_ms: "checking citations",
  delivery_ms: "sending",
};
const NO_STAGE = new Set(["total_ms", "first_token_ms"]); // the time to the first token contains other stages
const OTHER = "other";
const COLOURS = 7; // in the style sheet, besides that of what is no stage's
const TENTH_MS = 10; // times are shown in tenths of a millisecond

/** Whether the answer is supported, withheld, cut off, or written with a part missing; never more than is known. */
export function verdict({ done, citations }) {
  if (done.abstained) return [notice("abstained", "No answer.", REASONS[done.reason] ?? "The documents do not answer this."), ...shortcomings(done)];
  const grounding = {
    full: () => notice("good", "Supported.", `Every claim was checked against the passage that it cites (${counted(citations.length, "citation")}).`),
    partial: () => notice("warn", "Partly supported.", "What is underlined in the answer was not found in the sources."),
    none: () => notice("bad", "Not supported.", "No claim of this answer could be verified in the sources."),
  }[done.grounded]();
  return [grounding, ...shortcomings(done)];
}

function shortcomings({ degraded, finish_reason: reason }) {
  const told = degraded.map((part) => notice("warn", "With a part missing.", DEGRADED[part] ?? part));
  return CUT[reason] ? [...told, notice("warn", "Cut off.", CUT[reason])] : told;
}

function notice(kind, title, text) {
  return make("p", { class: `notice ${kind}` }, make("strong", {}, title), ` ${text}`);
}

/** Each citation with its quote; null where there is none. */
export function citedPassages({ citations }) {
  if (!citations.length) return null;
  const items = citations.map((citation) => make(
    "li",
    {},
    markLink(citation),
    make("div", {}, make("blockquote", { dir: "auto" }, citation.source.quote), make("p", { class: "small" }, sourceWords(citation.source), " · ", checked(citation))),
  ));
  return folded(`${counted(citations.length, "cited passage")}`, make("ul", { class: "cited" }, items));
}

function checked({ verified, support }) {
  const share = `support ${support.toFixed(2)}`;
  return verified ? `verified, ${share}` : make("strong", { class: "bad-words" }, `not verified, ${share}`);
}

/** What the search found, with what each score is made of; null where nothing was. */
export function searchedSources({ sources }) {
  if (!sources.length) return null;
  const items = sources.map((source) => make(
    "li",
    {},
    make("p", { class: "source-title" }, make("a", { href: passageLink(source) }, `${source.n}. ${sourceWords(source)}`)),
    source.text && make("p", { class: "excerpt", dir: "auto" }, source.text.slice(0, 280) + (source.text.length > 280 ? "…" : "")),
    make("dl", { class: "scores" }, term("score", source.score), Object.entries(source.scores).map(([name, value]) => term(name.replaceAll("_", " "), value))),
  ));
  return folded(counted(sources.length, "source searched", "sources searched"), make("ol", { class: "sources" }, items));
}

function term(name, value) {
  return make("div", {}, make("dt", {}, name), make("dd", {}, value === null ? "not asked" : String(Math.round(value * 1000) / 1000)));
}

/** The stages as a bar whose parts add up to the total, to the last digit that is shown; null without timings. */
export function timings({ metadata }) {
  if (!metadata) return null;
  const { parts, total } = shares(metadata);
  const bar = make("span", { class: "bar", "aria-hidden": "true" }, parts.map(({ name, tenths }, place) => {
    const segment = make("span", { class: `segment ${colour(name, place)}` });
    segment.style.flexGrow = tenths;
    return segment;
  }));
  const rows = parts.map(({ name, tenths }, place) => make("li", {}, make("span", { class: `swatch ${colour(name, place)}` }), `${name} `, make("b", {}, ms(tenths))));
  const first = metadata.first_token_ms ? make("p", { class: "small" }, `First words after ${ms(Math.round(metadata.first_token_ms * TENTH_MS))}.`) : null;
  const retries = Object.entries(metadata.retries ?? {}).map(([name, count]) => make("p", { class: "small" }, `${name}: ${counted(count, "retry", "retries")}`));
  const details = make("div", {}, make("ul", { class: "stages" }, rows, make("li", { class: "total" }, "total ", make("b", {}, ms(total)))), first, retries);
  return make("details", { class: "fold timings" }, make("summary", {}, make("span", {}, ms(total)), bar), details);
}

/** Parts in tenths of a millisecond that add up to the total: what is no stage's is "other". */
export function shares(metadata) {
  const stages = Object.entries(metadata).filter(([name, value]) => name.endsWith("_ms") && !NO_STAGE.has(name) && value > 0);
  const total = Math.round(metadata.total_ms * TENTH_MS);
  const parts = stages.map(([name, value]) => ({ name: STAGES[name] ?? name.replace(/_ms$/, "").replaceAll("_", " "), tenths: Math.floor(value * TENTH_MS) }));
  const known = parts.reduce((sum, { tenths }) => sum + tenths, 0);
  return { parts: [...parts, { name: OTHER, tenths: total - known }].filter(({ tenths }) => tenths > 0), total };
}

function colour(name, place) {
  return name === OTHER ? "other" : `s${place % COLOURS}`;
}

function ms(tenths) {
  return `${(tenths / TENTH_MS).toLocaleString("en", { minimumFractionDigits: 1 })} ms`;
}

function folded(title, content) {
  return make("details", { class: "fold" }, make("summary", {}, title), content);
}
