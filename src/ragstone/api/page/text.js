// Words for numbers and names, and offsets: the API counts Unicode code points, JavaScript UTF-16 units.

const ASTRAL = /[\ud800-\udbff]/;
// Controls, and marks that turn the direction of what follows: in a name they only serve to deceive.
const DECEPTIVE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/g;
const NUMBERS = new Intl.NumberFormat("en"); // made once: a row of the list has two numbers
const NAMES = {
  "application/pdf": "PDF", "text/html": "HTML", "text/plain": "Text", "text/markdown": "Markdown", "text/csv": "CSV",
  "application/json": "JSON", "message/rfc822": "Mail", "application/rtf": "RTF", "application/epub+zip": "EPUB",
};

/** A text whose parts are named in code points. */
export class CodePoints {
  #isPlain;

  constructor(text) {
    this.text = text;
    this.#isPlain = !ASTRAL.test(text);
  }

  /** The UTF-16 offset of the code point with this number; the text's end where it has fewer. */
  units(point) {
    if (this.#isPlain) return Math.min(point, this.text.length);
    let unit = 0;
    for (let seen = 0; seen < point && unit < this.text.length; seen += 1) {
      unit += this.text.codePointAt(unit) > 0xffff ? 2 : 1;
    }
    return unit;
  }
}

/** The first `most` code points of a text. */
export function beginning(text, most) {
  return text.slice(0, new CodePoints(text).units(most));
}

/** A title or file name on one line, without characters that would change how what follows is read. */
export function shownName(name) {
  return name.replace(DECEPTIVE, " ").trim() || "untitled";
}

/** Where a passage stands: "page 3", "pages 3–4", "sheet Prices", "slide 7"; empty where the format has no such place. */
export function placeWords(location) {
  if (location.page !== null) {
    const last = location.page_end ?? location.page;
    return last > location.page ? `pages ${location.page}–${last}` : `page ${location.page}`;
  }
  if (location.sheet !== null) return `sheet ${shownName(location.sheet)}`;
  return location.slide !== null ? `slide ${location.slide}` : "";
}

/** Place and headings in a row; either may be missing. */
export function whereabouts({ location, heading }, separator = " · ") {
  return [placeWords(location), heading.map(shownName).join(" › ")].filter(Boolean).join(separator);
}

/** Title, place and headings in a row. */
export function sourceWords(source, separator = " · ") {
  return [shownName(source.title), whereabouts(source, separator)].filter(Boolean).join(separator);
}

/** "1 page", "1,200 pages". */
export function counted(count, one, many = `${one}s`) {
  return `${NUMBERS.format(count)} ${count === 1 ? one : many}`;
}

/** "17 KB". */
export function sizeWords(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  const [divisor, unit] = bytes < 1e6 ? [1e3, "KB"] : bytes < 1e9 ? [1e6, "MB"] : [1e9, "GB"];
  const size = bytes / divisor;
  return `${size.toFixed(size < 10 ? 1 : 0)} ${unit}`;
}

/** "PDF", by the media type or else by the file's ending. */
export function kindWords({ media_type: mediaType, filename }) {
  const ending = /\.([A-Za-z0-9]{1,5})$/.exec(filename ?? "");
  return NAMES[mediaType] ?? (ending ? ending[1].toUpperCase() : "File");
}
