// Which collection is looked at; making and deleting collections.

import { call, pages } from "./api.js";
import { ask, field } from "./dialogs.js";
import { announce, byId, fill, make } from "./dom.js";
import { counted } from "./text.js";

const CHOSEN = "ragstone.collection";
const NAME = "[a-z0-9][a-z0-9_\\-]{0,62}";
export const DEFAULT = "default";

/** Dispatches `change` when another collection is chosen, `count` when the number of its documents is known anew. */
export class Collections extends EventTarget {
  #known = new Map();

  constructor() {
    super();
    this.chosen = sessionStorage.getItem(CHOSEN) ?? DEFAULT;
    byId("collection").addEventListener("change", (event) => this.choose(event.target.value));
    byId("new-collection").addEventListener("click", () => this.#askForNew());
    byId("delete-collection").addEventListener("click", () => this.#askToDelete());
  }

  /** How many documents the chosen one has. */
  get count() {
    return this.#known.get(this.chosen)?.documents ?? 0;
  }

  /** Read them all anew. */
  async load() {
    const known = new Map();
    for await (const page of pages("/collections", { limit: 200 })) {
      for (const collection of page.items) known.set(collection.name, collection);
    }
    this.#known = known;
    if (!known.has(this.chosen)) this.#remember(DEFAULT);
    this.#show();
  }

  /** Read the chosen one anew. */
  async refresh() {
    const collection = await call("GET", `/collections/${this.chosen}`);
    this.#known.set(collection.name, collection);
    this.#show();
  }

  /** Look at this one from now on. */
  choose(name) {
    this.#remember(name);
    this.#show();
    this.dispatchEvent(new Event("change"));
  }

  #remember(name) {
    this.chosen = name;
    sessionStorage.setItem(CHOSEN, name);
  }

  #show() {
    const options = [...this.#known.values()].map(({ name, documents }) =>
      make("option", { value: name }, `${name} (${documents.toLocaleString("en")})`));
    fill(byId("collection"), options);
    byId("collection").value = this.chosen;
    byId("delete-collection").hidden = this.chosen === DEFAULT;
    this.dispatchEvent(new Event("count"));
  }

  #askForNew() {
    ask({
      title: "New collection",
      text: "A collection is a set of documents that questions are asked of together.",
      fields: [
        field("name", "Name: small letters, digits, - and _", { required: true, pattern: NAME, maxlength: 63, autocomplete: "off" }),
        field("description", "Description (optional)", { maxlength: 1024, autocomplete: "off" }),
      ],
      label: "Create",
      action: async ({ name, description }) => {
        await call("POST", "/collections", { body: { name, description } });
        await this.load();
        this.choose(name);
        announce(`Collection ${name} was created.`);
        return null;
      },
    });
  }

  #askToDelete() {
    const name = this.chosen;
    ask({
      title: `Delete the collection ${name}?`,
      text: `It goes with ${counted(this.count, "document")}, all their versions and all that is known of them. This cannot be undone.`,
      label: "Delete collection",
      isDanger: true,
      typed: name,
      action: async () => {
        const deleted = await call("DELETE", `/collections/${name}?cascade=true`);
        await this.load();
        this.choose(DEFAULT);
        return make("p", { class: "notice good" }, `${name} was deleted with ${counted(deleted.documents_deleted, "document")}.`);
      },
    });
  }
}
