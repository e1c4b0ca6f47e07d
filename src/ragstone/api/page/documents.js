// The list of documents: pages are fetched as they are scrolled to, and only rows in sight are in the page.

import { address, call, stream } from "./api.js";
import { ask } from "./dialogs.js";
import { announce, byId, errorNotice, fill, make, setAttribute } from "./dom.js";
import { counted, kindWords, shownName, sizeWords } from "./text.js";

const ROW_PX = 60; // as in the style sheet
const SPARE_ROWS = 8; // kept ready above and below those in sight
const PAGE = 200;
const FILTER_AFTER_MS = 250;
const LOOK_EVERY_MS = 2_000;
const LOOKED_AT = 5; // documents in work, of those in sight, that are asked after at once
const STATES = { queued: "Waiting", processing: "In work", ready: "Ready", failed: "Failed" };

/** Dispatches `deleted` after a document has gone, `loaded` when a first page is there. */
export class DocumentList extends EventTarget {
  #documents = [];
  #rows = new Map();
  #cursor = null;
  #loading = null;
  #isDrawing = false;

  constructor(collections) {
    super();
    this.collections = collections;
    this.scroller = byId("document-list");
    this.holder = byId("document-rows");
    this.scroller.addEventListener("scroll", () => this.#drawSoon(), { passive: true });
    new ResizeObserver(() => this.#drawSoon()).observe(this.scroller);
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    byId("status-filter").addEventListener("change", () => this.reload());
    byId("title-filter").addEventListener("input", () => this.#filterSoon());
    setInterval(() => this.#lookAfterWork(), LOOK_EVERY_MS);
  }

  /** Begin anew with the first page. */
  async reload() {
    this.#loading?.abort();
    this.#loading = null;
    this.#documents = [];
    this.#cursor = "";
    this.scroller.scrollTop = 0;
    await this.#loadPage();
    this.dispatchEvent(new Event("loaded"));
  }

  /** Show a document that was just uploaded, or what became of it. */
  show(document) {
    const place = this.#documents.findIndex(({ id }) => id === document.id);
    if (place >= 0) this.#documents[place] = document;
    else if (document.collection === this.collections.chosen && this.#fits(document)) this.#documents.unshift(document);
    this.#drawSoon();
  }

  /** Ask for this document anew. */
  async refresh(id) {
    try {
      const document = await call("GET", `/documents/${id}`);
      this.show(document);
      if (document.children.length && !isInWork(document)) await this.reload(); // its parts are documents too
    } catch (error) {
      if (error.code === "document_not_found") this.#drop(id);
    }
  }

  get isFiltered() {
    return Boolean(byId("title-filter").value || byId("status-filter").value);
  }

  #fits({ title, status }) {
    const wanted = byId("status-filter").value;
    return (!wanted || wanted === status) && title.toLowerCase().includes(byId("title-filter").value.toLowerCase());
  }

  async #loadPage() {
    if (this.#loading || this.#cursor === null) return;
    const loading = new AbortController();
    this.#loading = loading;
    const path = address("/documents", {
      collection: this.collections.chosen,
      title: byId("title-filter").value,
      status: byId("status-filter").value,
      limit: PAGE,
      cursor: this.#cursor,
    });
    try {
      const page = await call("GET", path, { signal: loading.signal });
      if (loading.signal.aborted) return;
      const known = new Set(this.#documents.map(({ id }) => id));
      this.#documents.push(...page.items.filter(({ id }) => !known.has(id)));
      this.#cursor = page.next_cursor;
      this.#note("");
    } catch (error) {
      if (loading.signal.aborted) return;
      this.#cursor = null;
      this.#note(errorNotice(error, "The list could not be read."));
    }
    this.#loading = null;
    this.#draw();
  }

  #note(content) {
    const isEmpty = !content && !this.#documents.length && this.isFiltered;
    fill(byId("list-note"), isEmpty ? "No document passes this filter." : content);
    byId("list-note").hidden = !content && !isEmpty;
  }

  #drawSoon() {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.#isDrawing = false;
    const top = Math.floor(this.scroller.scrollTop / ROW_PX); // read before anything is written: else it is laid out twice
    const bottom = top + Math.ceil(this.scroller.clientHeight / ROW_PX);
    byId("filters").hidden = !this.#documents.length && !this.isFiltered;
    this.holder.style.height = `${this.#documents.length * ROW_PX}px`;
    const shown = this.#documents.slice(Math.max(0, top - SPARE_ROWS), bottom + SPARE_ROWS);
    this.#drawRows(shown, Math.max(0, top - SPARE_ROWS));
    if (bottom + PAGE / 2 > this.#documents.length) this.#loadPage();
  }

  /** Rows that stay keep their elements, and with them the focus. */
  #drawRows(documents, first) {
    const rows = new Map();
    documents.forEach((document, position) => {
      const known = this.#rows.get(document.id);
      const row = known?.document === document ? known.row : this.#row(document);
      if (known && known.row !== row) replaceKeepingFocus(known.row, row);
      row.style.transform = `translateY(${(first + position) * ROW_PX}px)`;
      setAttribute(row, "aria-posinset", first + position + 1);
      setAttribute(row, "aria-setsize", this.#cursor === null ? this.#documents.length : -1);
      rows.set(document.id, { document, row });
    });
    for (const [id, { row }] of this.#rows) if (!rows.has(id)) row.remove();
    const order = [...rows.values()].map(({ row }) => row);
    order.forEach((row, place) => {
      if (this.holder.children[place] !== row) this.holder.insertBefore(row, this.holder.children[place] ?? null);
    });
    this.#rows = rows;
  }

  #row(document) {
    const title = shownName(document.title);
    return make(
      "li",
      { class: "document", "data-status": document.status },
      make(
        "a",
        { class: "open", href: `#document=${document.id}`, title },
        make("span", { class: "title" }, title),
        make("span", { class: "facts" }, factsOf(document)),
      ),
      make("span", { class: `chip ${document.status}` }, stateOf(document)),
      make("button", { type: "button", class: "quiet icon", "aria-label": `Delete ${title}`, onclick: () => this.#askToDelete(document) }, "✕"),
    );
  }

  #askToDelete(document) {
    ask({
      title: "Delete this document?",
      text: `“${shownName(document.title)}” goes with all its versions, its text and what was made for searching it. This cannot be undone.`,
      label: "Delete",
      isDanger: true,
      action: async () => {
        const receipt = await call("DELETE", `/documents/${document.id}`);
        this.#drop(document.id);
        byId("asking").addEventListener("close", () => this.scroller.focus(), { once: true });
        if (document.children.length) this.reload();
        this.dispatchEvent(new Event("deleted"));
        return receiptOf(receipt);
      },
    });
  }

  #drop(id) {
    this.#documents = this.#documents.filter((document) => document.id !== id);
    this.#drawSoon();
  }

  #filterSoon() {
    clearTimeout(this.filtering);
    this.filtering = setTimeout(() => this.reload(), FILTER_AFTER_MS);
  }

  /** Others upload too: what is in work and in sight is asked after. */
  async #lookAfterWork() {
    if (window.document.hidden) return;
    const working = [...this.#rows.values()].map((row) => row.document).filter(isInWork).slice(0, LOOKED_AT);
    await Promise.all(working.map(({ id }) => this.refresh(id)));
  }
}

function isInWork({ status, pending }) {
  return status === "queued" || status === "processing" || (pending !== null && pending.status !== "failed");
}

function stateOf({ status, pending }) {
  if (pending === null || status !== "ready") return STATES[status];
  return pending.status === "failed" ? "Update failed" : "Updating";
}

/** One line: why it failed, how far it is, or how large it is. */
function factsOf(document) {
  const { pending } = document;
  const error = document.error ?? pending?.error;
  if (error) return `${error.message} (${error.code})`;
  if (pending?.stage && pending.progress.total) return `${pending.stage}: ${pending.progress.done} of ${pending.progress.total} ${pending.progress.unit}`;
  return [
    document.parent_id && "part of another",
    kindWords(document),
    document.pages && counted(document.pages, "page"),
    document.chunks && counted(document.chunks, "passage"),
    sizeWords(document.bytes),
    document.version > 1 && `version ${document.version}`,
  ].filter(Boolean).join(" · ");
}

/** What went, as the server read it back; where it is not done yet, told again once it is. */
function receiptOf(receipt) {
  const went = [
    counted(receipt.versions, "version"),
    counted(receipt.points_deleted, "point"),
    counted(receipt.blobs_deleted, "stored file"),
  ].join(", ");
  const proof = make("p", {}, receipt.verified_absent
    ? "Verified absent: the search index was read back and holds none of its points."
    : "It is invisible from now on. The purge of what was made of it goes on.");
  announce("The document was deleted.");
  if (!receipt.verified_absent && receipt.job) followPurge(receipt.job, proof);
  return make("div", { class: "notice good" }, make("p", {}, make("strong", {}, "Deleted: "), `${went}.`), proof,
    make("p", { class: "small" }, `Receipt of document ${receipt.document_id}`));
}

async function followPurge(job, proof) {
  try {
    for await (const { name, content } of stream("GET", `/jobs/${job.id}/events`)) {
      if (name === "done" && content.job.state === "succeeded") proof.textContent = "The purge is complete: nothing of it is left.";
    }
  } catch {
    proof.textContent += ` See job ${job.id}.`;
  }
}

/** A row that is made anew while one of its buttons has the focus. */
function replaceKeepingFocus(old, row) {
  const place = [...old.querySelectorAll("a, button")].indexOf(document.activeElement);
  old.replaceWith(row);
  if (place >= 0) row.querySelectorAll("a, button")[place].focus({ preventScroll: true });
}
