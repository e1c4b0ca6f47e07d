// Server-sent events out of pieces of text, as the standard has them: any line end, comments, several data lines.

export class EventParser {
  #rest = "";
  #name = "";
  #data = [];

  /** The events that this piece completes: name and the data as it stands. */
  feed(piece) {
    // A CR at the very end may be the first half of a CR LF.
    const lines = (this.#rest + piece).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    return lines.map((line) => this.#read(line)).filter((event) => event !== null);
  }

  #read(line) {
    if (line === "") return this.#dispatch();
    const [field, value] = parts(line);
    if (field === "event") this.#name = value;
    if (field === "data") this.#data.push(value);
    return null;
  }

  #dispatch() {
    const event = this.#data.length ? { name: this.#name || "message", data: this.#data.join("\n") } : null;
    this.#name = "";
    this.#data = [];
    return event;
  }
}

/** Field and value; a comment has an empty field. */
function parts(line) {
  const colon = line.indexOf(":");
  if (colon < 0) return [line, ""];
  return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, "")];
}
