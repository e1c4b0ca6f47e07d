"""Writes small PDF files: text at its place, bookmarks, encryption, and structures that no honest program writes."""

import hashlib
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

_PADDING = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")


@dataclass(frozen=True)
class Text:
    """A line at its place. `unicode`: not in Latin-1 but two bytes a character; `glyphs` are then what they mean."""

    text: str
    x: float = 72
    y: float = 700
    size: float = 10
    unicode: bool = False

    def operators(self) -> bytes:
        font = "F2" if self.unicode else "F1"
        shown = self.text.encode("utf-16-be" if self.unicode else "cp1252").hex()
        return f"BT /{font} {self.size} Tf {self.x} {self.y} Td <{shown}> Tj ET\n".encode()


@dataclass(frozen=True)
class Bookmark:
    title: str
    page: int
    children: Sequence["Bookmark"] = ()


@dataclass
class PdfFile:
    """Objects by number; the first one is the catalogue. `encrypt` changes strings and streams as they are written."""

    objects: list[bytes] = field(default_factory=lambda: [b""])
    encrypt: Callable[[int, bytes], bytes] = lambda _, content: content
    trailer: bytes = b""

    def add(self, content: bytes = b"") -> int:
        self.objects.append(content)
        return len(self.objects)

    def put(self, number: int, content: bytes) -> None:
        self.objects[number - 1] = content

    def stream(self, content: bytes, entries: bytes = b"") -> int:
        number = self.add()
        content = self.encrypt(number, content)
        self.put(number, b"<< /Length %d %b >>\nstream\n%b\nendstream" % (len(content), entries, content))
        return number

    def string(self, number: int, text: str) -> bytes:
        """For an entry of the object with this number."""
        return b"<%b>" % self.encrypt(number, b"\xfe\xff" + text.encode("utf-16-be")).hex().encode()

    def written(self) -> bytes:
        pieces, offsets, at = [b"%PDF-1.7\n"], [], 9
        for number, content in enumerate(self.objects, 1):
            offsets.append(at)
            pieces.append(b"%d 0 obj\n%b\nendobj\n" % (number, content))
            at += len(pieces[-1])
        pieces.append(b"xref\n0 %d\n0000000000 65535 f \n" % (len(self.objects) + 1))
        pieces.extend(b"%010d 00000 n \n" % offset for offset in offsets)
        size = len(self.objects) + 1
        pieces.append(
            b"trailer << /Size %d /Root 1 0 R %b >>\nstartxref\n%d\n%%%%EOF\n" % (size, self.trailer, at)
        )
        return b"".join(pieces)


def write_pdf(
    pages: Sequence[Sequence[Text]],
    *,
    bookmarks: Sequence[Bookmark] = (),
    title: str | None = None,
    user_password: str | None = None,
    meanings: dict[str, str] | None = None,
) -> bytes:
    """A PDF of these pages. A user password encrypts it, also an empty one. `meanings`: what a character of Unicode
    text stands for, where it is not itself."""
    file = PdfFile()
    if user_password is not None:
        _encrypt(file, user_password)
    tree = file.add()
    fonts = _fonts(file, pages, meanings or {})
    kids = [_page(file, tree, fonts, texts) for texts in pages]
    references = b" ".join(b"%d 0 R" % kid for kid in kids)
    file.put(tree, b"<< /Type /Pages /Count %d /Kids [%b] >>" % (len(kids), references))
    catalogue = b"<< /Type /Catalog /Pages %d 0 R" % tree
    if bookmarks:
        catalogue += b" /Outlines %d 0 R" % _outline(file, bookmarks, kids)
    file.put(1, catalogue + b" >>")
    if title is not None:
        info = file.add()
        file.put(info, b"<< /Title %b >>" % file.string(info, title))
        file.trailer += b" /Info %d 0 R" % info
    return file.written()


def image_page(file: PdfFile, tree: int) -> int:
    """A page that shows nothing but an image."""
    image = file.stream(
        b"\x80",
        b"/Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8",
    )
    shown = file.stream(b"q 400 0 0 400 72 72 cm /I Do Q")
    resources = b"<< /XObject << /I %d 0 R >> >>" % image
    return file.add(
        b"<< /Type /Page /Parent %d 0 R /MediaBox [0 0 612 792] /Resources %b /Contents %d 0 R >>"
        % (tree, resources, shown)
    )


def write_images(count: int) -> bytes:
    """A scanned document."""
    file = PdfFile()
    tree = file.add()
    kids = b" ".join(b"%d 0 R" % image_page(file, tree) for _ in range(count))
    file.put(tree, b"<< /Type /Pages /Count %d /Kids [%b] >>" % (count, kids))
    file.put(1, b"<< /Type /Catalog /Pages %d 0 R >>" % tree)
    return file.written()


def write_content(content: bytes, entries: bytes = b"") -> bytes:
    """A PDF of one page with these operators, or whatever they are."""
    file = PdfFile()
    tree, fonts = file.add(), _fonts(file, [], {})
    stream = file.stream(content, entries)
    page = file.add(_page_object(tree, fonts, stream))
    file.put(tree, b"<< /Type /Pages /Count 1 /Kids [%d 0 R] >>" % page)
    file.put(1, b"<< /Type /Catalog /Pages %d 0 R >>" % tree)
    return file.written()


def _page(file: PdfFile, tree: int, fonts: bytes, texts: Sequence[Text]) -> int:
    content = zlib.compress(b"".join(text.operators() for text in texts))
    return file.add(_page_object(tree, fonts, file.stream(content, b"/Filter /FlateDecode")))


def _page_object(tree: int, fonts: bytes, stream: int) -> bytes:
    return (
        b"<< /Type /Page /Parent %d 0 R /MediaBox [0 0 612 792] /Resources << /Font << %b >> >> /Contents %d 0 R >>"
        % (tree, fonts, stream)
    )


def _fonts(file: PdfFile, pages: Sequence[Sequence[Text]], meanings: dict[str, str]) -> bytes:
    latin = file.add(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>")
    used = sorted({letter for texts in pages for text in texts if text.unicode for letter in text.text})
    if not used:
        return b"/F1 %d 0 R" % latin
    mapping = file.stream(_to_unicode({letter: meanings.get(letter, letter) for letter in used}))
    descriptor = file.add(
        b"<< /Type /FontDescriptor /FontName /Any /Flags 4 /FontBBox [0 -200 1000 800] /ItalicAngle 0 /Ascent 800"
        b" /Descent -200 /CapHeight 700 /StemV 80 >>"
    )
    glyphs = file.add(
        b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Any /DW 500 /FontDescriptor %d 0 R"
        b" /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> >>" % descriptor
    )
    composed = file.add(
        b"<< /Type /Font /Subtype /Type0 /BaseFont /Any /Encoding /Identity-H /DescendantFonts [%d 0 R]"
        b" /ToUnicode %d 0 R >>" % (glyphs, mapping)
    )
    return b"/F1 %d 0 R /F2 %d 0 R" % (latin, composed)


def _to_unicode(meanings: dict[str, str]) -> bytes:
    lines = [f"<{ord(letter):04x}> <{text.encode('utf-16-be').hex()}>" for letter, text in meanings.items()]
    parts = [lines[start : start + 100] for start in range(0, len(lines), 100)]
    blocks = [f"{len(part)} beginbfchar\n" + "\n".join(part) + "\nendbfchar" for part in parts]
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /Any def /CMapType 2 def\n"
        "1 begincodespacerange <0000> <ffff> endcodespacerange\n" + "\n".join(blocks) + "\nendcmap end end"
    ).encode()


def _outline(file: PdfFile, bookmarks: Sequence[Bookmark], pages: Sequence[int]) -> int:
    root = file.add()
    first, last = _entries(file, bookmarks, root, pages)
    file.put(root, b"<< /Type /Outlines /First %d 0 R /Last %d 0 R >>" % (first, last))
    return root


def _entries(
    file: PdfFile, bookmarks: Sequence[Bookmark], parent: int, pages: Sequence[int]
) -> tuple[int, int]:
    numbers = [file.add() for _ in bookmarks]
    for index, (bookmark, number) in enumerate(zip(bookmarks, numbers, strict=True)):
        entry = b"<< /Title %b /Parent %d 0 R /Dest [%d 0 R /Fit]" % (
            file.string(number, bookmark.title),
            parent,
            pages[bookmark.page - 1],
        )
        if index + 1 < len(numbers):
            entry += b" /Next %d 0 R" % numbers[index + 1]
        if bookmark.children:
            entry += b" /First %d 0 R /Last %d 0 R" % _entries(file, bookmark.children, number, pages)
        file.put(number, entry + b" >>")
    return numbers[0], numbers[-1]


def _encrypt(file: PdfFile, password: str) -> None:
    """RC4 with 40 bits, the oldest of the standard's ways."""
    owner = _rc4(hashlib.md5(_padded("owner")).digest()[:5], _padded(password))
    permissions = (-4).to_bytes(4, "little", signed=True)
    key = hashlib.md5(_padded(password) + owner + permissions + b"id").digest()[:5]
    entry = file.add(
        b"<< /Filter /Standard /V 1 /R 2 /P -4 /O <%b> /U <%b> >>"
        % (owner.hex().encode(), _rc4(key, _PADDING).hex().encode())
    )
    file.trailer = b"/Encrypt %d 0 R /ID [<6964> <6964>]" % entry
    file.encrypt = lambda number, content: _rc4(
        hashlib.md5(key + number.to_bytes(3, "little") + b"\0\0").digest()[:10], content
    )


def _padded(password: str) -> bytes:
    return (password.encode("latin-1") + _PADDING)[:32]


def _rc4(key: bytes, content: bytes) -> bytes:
    state, j = list(range(256)), 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out, i, j = bytearray(), 0, 0
    for byte in content:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)
