// Making elements. Text enters the page here and only as text: nothing that was uploaded or answered is ever parsed.

/** An element. `on…` attributes are listeners; null, undefined and false ones are left out, as are such children. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else setAttribute(element, name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Set an attribute, or take it away where the value is null, undefined or false. */
export function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else element.setAttribute(name, value === true ? "" : String(value));
}

/** The element of this id in the page. */
export function byId(id) {
  return document.getElementById(id);
}

/** Put these in place of what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
}

/** Tell screen readers, once what was said before has had its turn. */
export function announce(text) {
  byId("announcements").textContent = text;
}

/** A failure as its reader needs it: what happened, and what to quote when asking for help. */
/** What the server says begins small and has no full stop, as a part of a line of a log. */
function asSentence(message) {
  const [first = "", ...rest] = message;
  return first.toUpperCase() + rest.join("") + (/[.!?]$/.test(message) ? "" : ".");
}

export function errorNotice(error, lead = "") {
  const known = [error.code, error.requestId && `request ${error.requestId}`].filter(Boolean).join(" · ");
  return make(
    "div",
    { class: "notice bad", role: "alert" },
    make("p", {}, lead && make("strong", {}, `${lead} `), asSentence(error.message)),
    known && make("p", { class: "small" }, known),
  );
}
