"""The characters of an RTF document: bytes in the encoding of their font, and Unicode with replacements to skip."""

import codecs

from striprtf.striprtf import charset_map

_FALLBACK = "cp1252"
_CODE_PAGES = {0: _FALLBACK, 10000: "mac_roman", 65001: "utf-8"}
_SURROGATES = range(0xD800, 0xE000)
_REPLACEMENT = "\ufffd"


class RtfText:
    """Collects characters. `push` begins a text of its own, such as a footnote, that `pop` ends."""

    def __init__(self) -> None:
        self._buffers: list[list[str]] = [[]]
        self._raw = bytearray()
        self._skip = 0
        self._fonts: dict[int, str] = {}
        self._default = self._encoding = _FALLBACK

    def set_code_page(self, number: int) -> None:
        """The encoding where no font names another."""
        self._default = self._encoding = _codec(_CODE_PAGES.get(number, f"cp{number}"))

    def define_font(self, font: int, charset: int) -> None:
        """The encoding of a font, by the number that Windows has for it."""
        if charset > 2:  # 0 and 1 are the document's own, 2 are symbols
            self._fonts[font] = _codec(charset_map.get(charset, self._default))

    def use_font(self, font: int | None) -> None:
        """What follows is written in this font."""
        encoding = self._default if font is None else self._fonts.get(font, self._default)
        if encoding != self._encoding:
            self._flush()
            self._encoding = encoding

    def add_raw(self, text: str, *, is_shown: bool) -> None:
        """Bytes, as characters of Latin-1."""
        if self._skip:
            skipped = min(self._skip, len(text))
            self._skip -= skipped
            text = text[skipped:]
        if is_shown:
            self._raw += text.encode("latin-1")

    def add(self, text: str) -> None:
        """Characters."""
        self._flush()
        self._buffers[-1].append(text)

    def add_unicode(self, number: int, *, skip: int, is_shown: bool) -> None:
        """A unit of UTF-16; the next `skip` bytes stand for it where Unicode is not understood."""
        if is_shown:
            number &= 0x1FFFFF if number > 0xFFFF else 0xFFFF
            self.add(chr(number) if number <= 0x10FFFF else _REPLACEMENT)
        self._skip = min(max(skip, 0), 100)

    def end_skip(self) -> None:
        """At the bounds of groups."""
        self._skip = 0

    def push(self) -> None:
        """Begin a text of its own."""
        self._flush()
        self._buffers.append([])

    def pop(self) -> str:
        """End it."""
        text = self.take()
        self._buffers.pop()
        return text

    def take(self) -> str:
        """What was collected since the last time."""
        self._flush()
        text = "".join(self._buffers[-1])
        self._buffers[-1] = []
        if any(ord(character) in _SURROGATES for character in text):
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return text

    def _flush(self) -> None:
        if self._raw:
            self._buffers[-1].append(self._raw.decode(self._encoding, "replace"))
            self._raw.clear()


def _codec(name: str) -> str:
    try:
        codecs.lookup(name)
    except LookupError:
        return _FALLBACK
    return name
