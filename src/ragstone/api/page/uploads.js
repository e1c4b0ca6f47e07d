// Many files at once: a few are sent and a few followed at a time, as a browser has six connections to a server.

import { ApiError, sleep, stream, upload } from "./api.js";
import { announce, byId, make } from "./dom.js";
import { shownName } from "./text.js";

const SENDERS = 2;
const FOLLOWERS = 2;
const TURN_MS = 10_000; // then a job that takes its time makes room for others that may have ended
const MOST_ATTEMPTS = 20;
const BUSY = new Set([429, 503]);
const STAGES = { parse: "Reading", chunk: "Cutting into passages", embed: "Understanding", index: "Storing" };

/** Dispatches `begun`, and `accepted` and `settled` with a document; shows a row for each file until it is cleared. */
export class Uploads extends EventTarget {
  #toSend = [];
  #toFollow = [];
  #rows = [];
  #sending = 0;
  #following = 0;

  constructor(collections) {
    super();
    this.collections = collections;
    byId("files").addEventListener("change", (event) => {
      this.add([...event.target.files].map((file) => ({ file, path: file.name })));
      event.target.value = ""; // the same files may be chosen again
    });
    for (const button of document.querySelectorAll(".choose")) button.addEventListener("click", () => byId("files").click());
    byId("clear-uploads").addEventListener("click", () => this.#clear());
    window.addEventListener("beforeunload", (event) => { if (this.#sending) event.preventDefault(); });
    takeDrops((files) => this.add(files), () => this.collections.chosen);
  }

  /** Upload these: `{file, path}`, where the path tells files of one name apart. */
  add(files) {
    if (!files.length) return;
    const added = files.map(({ file, path }) => new Row(file, path, this.collections.chosen));
    byId("upload-rows").append(...added.map((row) => row.element));
    byId("uploads").hidden = false;
    this.#rows.push(...added);
    this.#toSend.push(...added);
    this.#showCounts();
    announce(files.length === 1 ? `Uploading ${shownName(files[0].file.name)}.` : `Uploading ${files.length} files.`);
    this.dispatchEvent(new Event("begun"));
    this.#work();
  }

  #work() {
    while (this.#sending < SENDERS && this.#toSend.length) this.#send(this.#toSend.shift());
    while (this.#following < FOLLOWERS && this.#toFollow.length) this.#follow(this.#toFollow.shift());
  }

  async #send(row) {
    this.#sending += 1;
    try {
      const { document, job } = await sendPatiently(row);
      row.documentId = document.id;
      this.#tell("accepted", document);
      if (job === null && document.error) this.#settle(row, "failed", reasonOf(document.error));
      else if (job === null) this.#settle(row, "ready", "Already here: nothing to do");
      else {
        row.job = job;
        row.say("Waiting for its turn");
        this.#toFollow.push(row);
      }
    } catch (error) {
      this.#settle(row, "failed", reasonOf(error));
    }
    this.#sending -= 1;
    this.#work();
  }

  async #follow(row) {
    this.#following += 1;
    try {
      const last = await this.#watch(row);
      if (last) this.#end(row, last);
      else this.#toFollow.push(row);
    } catch (error) {
      row.say(`${error.message} Trying again.`);
      if ((row.troubles += 1) > MOST_ATTEMPTS || error.code === "job_not_found") this.#settle(row, "failed", reasonOf(error));
      else setTimeout(() => { this.#toFollow.push(row); this.#work(); }, 2_000);
    }
    this.#following -= 1;
    this.#work();
  }

  /** The job once it has ended; null where others are to have their turn before. */
  async #watch(row) {
    const turn = new AbortController();
    const timer = setInterval(() => this.#toFollow.length && turn.abort(), TURN_MS);
    try {
      for await (const { name, content } of stream("GET", `/jobs/${row.job.id}/events`, { signal: turn.signal })) {
        if (name === "done") return content.job;
        row.showJob(content);
      }
    } catch (error) {
      if (turn.signal.aborted) return null;
      throw error;
    } finally {
      clearInterval(timer);
    }
    throw new ApiError("The connection ended.", { code: "connection_lost" });
  }

  #end(row, job) {
    if (job.state === "succeeded") this.#settle(row, "ready", job.version > 1 ? `Ready as version ${job.version}` : "Ready");
    else this.#settle(row, "failed", job.error ? reasonOf(job.error) : `The job was ${job.state}.`);
    this.#tell("settled", { id: row.documentId });
  }

  #settle(row, state, words) {
    row.settle(state, words);
    if (state === "failed") byId("upload-rows").prepend(row.element); // what needs attention comes first
    if (state === "ready") byId("ask-now").hidden = false;
    this.#showCounts();
    announce(`${row.name}: ${words}.`);
  }

  #showCounts() {
    const count = (state) => this.#rows.filter((row) => row.state === state).length;
    const counts = [[count("open"), "left"], [count("ready"), "ready"], [count("failed"), "failed"]];
    const words = counts.filter(([number]) => number).map(([number, name]) => `${number} ${name}`).join(", ");
    byId("uploads-title").textContent = words ? `Uploads: ${words}` : "Uploads";
  }

  #clear() {
    for (const row of this.#rows) if (row.state !== "open") row.element.remove();
    this.#rows = this.#rows.filter(({ state }) => state === "open");
    this.#showCounts();
    byId("uploads").hidden = !this.#rows.length;
    byId("ask-now").hidden = true;
  }

  #tell(name, document) {
    this.dispatchEvent(new CustomEvent(name, { detail: document }));
  }
}

/** One file on its way. */
class Row {
  constructor(file, path, collection) {
    Object.assign(this, { file, path, collection, state: "open", troubles: 0 });
    this.name = shownName(path);
    this.words = make("span", { class: "words" }, "Waiting");
    this.bar = make("progress", { max: 1, value: 0, "aria-label": `Progress of ${this.name}` });
    this.element = make("li", { class: "upload" }, make("span", { class: "title", title: this.name }, this.name), this.words, this.bar);
  }

  say(words, share = null) {
    this.words.textContent = words;
    if (share === null) this.bar.removeAttribute("value");
    else this.bar.value = share;
  }

  showJob({ job, remaining_s: remaining }) {
    const { stage, progress, error, next_retry_at: retryAt } = job;
    if (retryAt && error) return this.say(`${error.message} (${error.code}); it is tried again`);
    if (!stage) return this.say("Waiting for its turn");
    const counts = progress.total ? ` ${progress.done} of ${progress.total} ${progress.unit}` : "";
    const left = remaining > 1 ? `, ${Math.ceil(remaining)} s left` : "";
    return this.say(`${STAGES[stage] ?? stage}${counts}${left}`, progress.total ? progress.done / progress.total : null);
  }

  settle(state, words) {
    this.state = state;
    this.bar.remove();
    this.words.textContent = words;
    this.element.classList.add(state);
  }
}

/** Send a file; where the server has no room, wait as long as it says. A repeated attempt makes nothing twice. */
async function sendPatiently(row) {
  const headers = { "Idempotency-Key": randomKey() };
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await upload("/documents", formOf(row), { headers, onprogress: (share) => row.say(sentWords(share), share) });
    } catch (error) {
      if (!BUSY.has(error.status) || attempt === MOST_ATTEMPTS) throw error;
      await waitForRoom(row, error);
    }
  }
}

async function waitForRoom(row, error) {
  for (let left = Math.max(1, error.retryAfterS ?? 1); left > 0; left -= 1) {
    row.say(`The server has no room just now; trying again in ${left} s`);
    await sleep(1_000);
  }
}

function formOf({ file, path, collection }) {
  const form = new FormData();
  form.append("collection", collection);
  if (path !== file.name) form.append("source", path);
  form.append("file", file, file.name);
  return form;
}

function sentWords(share) {
  return share < 1 ? `Sending ${Math.round(share * 100)} %` : "Storing the file";
}

function reasonOf(error) {
  return error.code ? `${error.message} (${error.code})` : error.message;
}

function randomKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Files that are dropped anywhere on the page. */
function takeDrops(take, collectionName) {
  const veil = byId("drop-veil");
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  window.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    byId("drop-name").textContent = collectionName();
    veil.hidden = false;
  });
  window.addEventListener("dragleave", (event) => { if (event.relatedTarget === null) veil.hidden = true; });
  window.addEventListener("drop", async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    veil.hidden = true;
    take(await droppedFiles(event.dataTransfer));
  });
}

/** The files, and those inside of folders with their path as what tells them apart. */
async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, path: file.name }));
  const found = [];
  for (const entry of entries) await walk(entry, found);
  return found;
}

async function walk(entry, found) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    found.push({ file, path: entry.fullPath.replace(/^\//, "") });
    return;
  }
  const reader = entry.createReader();
  for (;;) { // a folder is read in pieces, the last of which is empty
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const inner of some) await walk(inner, found);
  }
}
