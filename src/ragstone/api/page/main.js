// The page as a whole: what is asked of the server first, and how its parts hear of each other.

import { ApiError, call, gate, key } from "./api.js";
import { Collections } from "./collections.js";
import { Conversation } from "./conversation.js";
import { DocumentList } from "./documents.js";
import { announce, byId, errorNotice, fill } from "./dom.js";
import { followLinks } from "./passage.js";
import { counted } from "./text.js";
import { Uploads } from "./uploads.js";

const HEALTH_EVERY_MS = 30_000;
const COUNT_AFTER_MS = 500;
const HEALTH = { healthy: "healthy", degraded: "degraded", unhealthy: "unhealthy" };

const collections = new Collections();
const documents = new DocumentList(collections);
const uploads = new Uploads(collections);
new Conversation(collections);
const emptyLead = byId("welcome-lead").textContent; // what a collection without documents is greeted with
let counting = 0;
let isStarted = false;

collections.addEventListener("change", () => documents.reload());
collections.addEventListener("count", showCount);
documents.addEventListener("deleted", countSoon);
uploads.addEventListener("accepted", ({ detail }) => { documents.show(detail); countSoon(); });
uploads.addEventListener("settled", ({ detail }) => { documents.refresh(detail.id); countSoon(); });
gate.addEventListener("unauthorized", askForKey);
byId("key-form").addEventListener("submit", takeKey);
byId("key").addEventListener("cancel", (event) => event.preventDefault()); // there is nothing to see without
byId("forget-key").addEventListener("click", () => { key.forget(); location.reload(); });
byId("ask-now").addEventListener("click", () => { show("ask"); byId("question").focus(); });
uploads.addEventListener("begun", () => show("documents"));
document.querySelector(".skip").addEventListener("click", () => show("ask"));
for (const view of ["documents", "ask"]) byId(`view-${view}`).addEventListener("click", () => show(view));

showHealth();
setInterval(showHealth, HEALTH_EVERY_MS);
start();

async function start() {
  byId("forget-key").hidden = !key.get();
  try {
    await collections.load();
    await documents.reload();
  } catch (error) {
    if (error.status !== 401) showFailure(error);
    return;
  }
  if (!isStarted) followLinks();
  isStarted = true;
}

function showFailure(error) {
  if (!(error instanceof ApiError)) throw error;
  fill(byId("list-note"), errorNotice(error));
  byId("list-note").hidden = false;
}

/** Which of the two is seen where there is room for one. */
function show(view) {
  document.body.dataset.view = view;
  for (const each of ["documents", "ask"]) byId(`view-${each}`).setAttribute("aria-pressed", String(each === view));
}

function countSoon() {
  clearTimeout(counting);
  counting = setTimeout(() => collections.refresh().catch(showFailure), COUNT_AFTER_MS);
}

function showCount() {
  const { count, chosen } = collections;
  byId("document-count").textContent = counted(count, "document");
  document.body.classList.toggle("is-empty", count === 0);
  byId("welcome-title").textContent = count ? "Ask your documents" : "Ask your own documents";
  byId("welcome-steps").hidden = count > 0;
  byId("welcome-lead").textContent = !count ? emptyLead : `${counted(count, "document")} in “${chosen}”. Each answer names the exact place that it was taken from; one click shows it to you.`;
}

async function showHealth() {
  let status = "unreachable";
  let version = "";
  try {
    const health = await call("GET", "/health");
    status = HEALTH[health.status] ?? health.status;
    version = ` · ${health.api_version}`;
  } catch { /* said by the words below */ }
  byId("health").dataset.status = status;
  byId("health-words").textContent = status + version;
}

function askForKey() {
  byId("key-error").hidden = !key.get();
  byId("key-error").textContent = "This key is not known to the server.";
  key.forget();
  byId("key-value").value = "";
  if (!byId("key").open) byId("key").showModal();
}

function takeKey(event) {
  event.preventDefault();
  byId("key").close();
  key.set(byId("key-value").value.trim());
  announce("Trying this key.");
  start();
}
