// Questions and their answers, one after the other; each later question is sent with the turns before it.

import { stream } from "./api.js";
import { Answer, AnswerText } from "./answer.js";
import { announce, byId, errorNotice, fill, make } from "./dom.js";
import { citedPassages, searchedSources, timings, verdict } from "./findings.js";
import { asMarkdown, copy } from "./markdown.js";
import { beginning, counted } from "./text.js";

const EXTRACTIVE = "extractive"; // what answers where there is no model
const MOST_TURNS = 20; // that the API takes, questions and answers counted each
const MOST_CHARACTERS = 8_000; // of each

export class Conversation {
  #turns = [];
  #asking = null;

  constructor(collections) {
    this.collections = collections;
    this.field = byId("question");
    byId("ask").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#ask(this.field.value.trim());
    });
    this.field.addEventListener("keydown", (event) => this.#askOnEnter(event));
    this.field.addEventListener("input", () => this.#fitField());
    byId("stop").addEventListener("click", () => this.#asking?.abort());
    byId("new-conversation").addEventListener("click", () => this.clear());
  }

  /** Forget all turns. */
  clear() {
    this.#asking?.abort();
    this.#turns = [];
    fill(byId("turns"));
    byId("welcome").hidden = false;
    byId("new-conversation").hidden = true;
    this.field.focus();
  }

  #askOnEnter(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    byId("ask").requestSubmit();
  }

  async #ask(question) {
    if (!question || this.#asking) return;
    const asking = new AbortController();
    this.#setAsking(asking);
    this.field.value = "";
    this.#fitField();
    const turn = new Turn(question);
    byId("turns").append(turn.element);
    turn.element.scrollIntoView({ block: "start" });
    await turn.run(this.#request(question), asking.signal);
    if (turn.answer.isComplete) this.#turns.push({ question, answer: turn.answer.text });
    if (this.#asking === asking) this.#setAsking(null);
  }

  #request(query) {
    const history = this.#turns.flatMap(({ question, answer }) => [
      { role: "user", content: beginning(question, MOST_CHARACTERS) },
      { role: "assistant", content: beginning(answer, MOST_CHARACTERS) },
    ]).slice(-MOST_TURNS);
    return { query, collection: this.collections.chosen, stream: true, history };
  }

  #setAsking(asking) {
    this.#asking = asking;
    const hadFocus = document.activeElement === byId("stop");
    byId("send").hidden = asking !== null;
    byId("stop").hidden = asking === null;
    byId("welcome").hidden = true;
    byId("new-conversation").hidden = false;
    if (hadFocus) this.field.focus();
  }

  /** As high as its text. */
  #fitField() {
    this.field.style.height = "auto";
    this.field.style.height = `${Math.min(this.field.scrollHeight, 200)}px`;
  }
}

/** One question with all that becomes of it. */
class Turn {
  #isDrawing = false;

  constructor(question) {
    this.question = question;
    this.answer = new Answer();
    this.text = new AnswerText();
    this.above = make("p", { class: "small", "aria-live": "polite" }, "Searching…");
    this.below = make("div", { class: "findings" });
    this.element = make("article", { class: "turn" }, make("h3", { class: "asked", dir: "auto" }, question), this.above, this.text.element, this.below);
  }

  /** Ask and show, to the end, the failure or the stop; never throws. */
  async run(request, signal) {
    let failure = null;
    try {
      for await (const event of stream("POST", "/query", { body: request, signal })) {
        this.answer.apply(event);
        this.#drawSoon();
      }
    } catch (error) {
      failure = error;
    }
    this.#end(failure);
  }

  #drawSoon() {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => {
      this.#isDrawing = false;
      if (this.element.dataset.state === undefined) this.#draw(true);
    });
  }

  #draw(isBusy) {
    const { question, model } = this.answer;
    const writer = this.answer.done?.abstained ? "" : writerOf(model);
    const searched = question && question !== this.question ? `Searched for: ${question}` : "";
    this.above.textContent = isBusy && !this.answer.text ? "Searching…" : [searched, writer].filter(Boolean).join(" · ");
    this.text.show(this.answer.parts(), { isBusy });
  }

  #end(failure) {
    this.element.dataset.state = this.answer.isComplete ? "complete" : "incomplete";
    this.#draw(false);
    const { below, answer } = this;
    const copyButton = make("button", { type: "button", class: "quiet", onclick: () => this.#copy(copyButton) }, "Copy as Markdown");
    const outcome = answer.isComplete ? verdict(answer) : [this.#broken(failure)];
    const findings = [citedPassages(answer), searchedSources(answer), timings(answer)];
    fill(below, outcome, make("div", { class: "folds" }, findings.filter(Boolean)), answer.text && make("div", { class: "actions" }, copyButton));
    if (answer.isComplete) announce(`Answer complete. ${below.querySelector(".notice strong").textContent} ${counted(answer.citations.length, "citation")}.`);
  }

  /** Why there is no complete answer. */
  #broken(failure) {
    const lead = this.answer.text ? "This answer is incomplete." : "";
    if (failure?.name === "AbortError") {
      announce("Stopped.");
      return make("p", { class: "notice warn" }, make("strong", {}, "Stopped."), ` ${lead || "There is no answer."}`);
    }
    const { error } = this.answer;
    if (error) return errorNotice({ ...error, requestId: error.request_id }, lead);
    return errorNotice(failure ?? { message: "The connection ended before the answer did.", code: "connection_lost" }, lead);
  }

  async #copy(button) {
    await copy(asMarkdown(this.answer.parts(), { isComplete: this.answer.isComplete, done: this.answer.done }));
    button.textContent = "Copied";
    announce("The answer was copied as Markdown.");
    setTimeout(() => { button.textContent = "Copy as Markdown"; }, 2_000);
  }
}

function writerOf(model) {
  return model === EXTRACTIVE ? "Quoted from the documents, without a language model" : model && `Answered by ${model}`;
}
