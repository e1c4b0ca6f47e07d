"""The parts of office documents: XML in a zip, read without entities and without a network, large parts in pieces."""

import posixpath
import re
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import unquote

from lxml import etree  # type: ignore[import-untyped]

from ragstone.core.errors import ParseFailed, ParseLimit, UnsafeXml

Element: TypeAlias = Any
"""An element of lxml, which has no types."""

RELATIONSHIP = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
COMPATIBILITY = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"

# libxml2's own limits stay on: 256 levels of nesting, 10 MB in one text.
SAFE = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "remove_comments": True,  # they would cut a text in two
    "remove_pis": True,
}
INCLUSIONS = "{http://www.w3.org/2001/XInclude}*"
_RESOURCE_LIMIT = 114  # libxml2's XML_ERR_RESOURCE_LIMIT
_SLICE = 1 << 16
_PACKAGE_RELATIONSHIP = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_CONTENT_TYPE = "{http://schemas.openxmlformats.org/package/2006/content-types}"
_CORE_TITLE = "{http://purl.org/dc/elements/1.1/}title"
# Word's "Strict Open XML" has other names for the same elements.
_STRICT = re.compile(
    rb"http://purl\.oclc\.org/ooxml/(wordprocessingml|drawingml|presentationml|officeDocument)/"
)
_TRANSITIONAL = rb"http://schemas.openxmlformats.org/\1/2006/"
_OFFICE = "application/vnd.openxmlformats-officedocument."
DOCX, PPTX, XLSX = (
    f"{_OFFICE}{kind}"
    for kind in ("wordprocessingml.document", "presentationml.presentation", "spreadsheetml.sheet")
)
_APPLICATION = re.compile(r"word|presentation|powerpoint|ppt|spreadsheet|excel|xl")
OFFICE_MEDIA_TYPES = {
    "word": DOCX,
    **dict.fromkeys(("presentation", "powerpoint", "ppt"), PPTX),
    **dict.fromkeys(("spreadsheet", "excel", "xl"), XLSX),
}
# What programs and their templates write into the title by themselves.
_NO_TITLE = re.compile(
    r"(?:untitled|no title|title|document|presentation|powerpoint presentation|powerpoint-präsentation|slide|"
    r"microsoft (?:office )?(?:word|powerpoint).*|présentation powerpoint|presentación de powerpoint|.*\.\w{3,4})\s*\d*",
    re.IGNORECASE,
)


class Relationship(NamedTuple):
    """What a part refers to inside the package. `kind` is the last word of the type's address."""

    kind: str
    target: str


class OfficePackage:
    """The parts of an archive by their names. What is outside of it is never referred to."""

    def __init__(self, archive: zipfile.ZipFile):
        self._archive = archive
        self._relationships: dict[str, dict[str, Relationship]] = {}
        self._members = {_plain_name(member.filename): member for member in archive.infolist()}

    def has(self, name: str) -> bool:
        """Whether there is such a part."""
        return _plain_name(name) in self._members

    def read(self, name: str) -> bytes:
        """A part's bytes. Raises ParseFailed if it is missing."""
        return self._archive.read(self._member(name))

    def root(self, name: str) -> Element:
        """A part's XML. Raises ParseFailed, ParseLimit, UnsafeXml."""
        try:
            root = etree.fromstring(_in_transitional(self.read(name)), etree.XMLParser(**SAFE))
        except (etree.XMLSyntaxError, ValueError) as error:
            raise xml_refusal(name, error) from error
        _refuse_doctype(root, name)
        if next(root.iter(INCLUSIONS), None) is not None:
            raise _inclusion(name)
        return root

    def stream(
        self, name: str, tags: Sequence[str], events: Sequence[str] = ("end",)
    ) -> Iterator[tuple[str, Element]]:
        """Starts and ends of the elements with these tags, as they come. Whoever reads releases what was read."""
        parser = etree.XMLPullParser(events=events, tag=(*tags, INCLUSIONS), **SAFE)
        is_first = True
        try:
            for part in self._slices(name):
                parser.feed(part)
                for event, element in parser.read_events():
                    if is_first:
                        _refuse_doctype(element, name)
                        is_first = False
                    if element.tag.startswith(INCLUSIONS[:-1]):
                        raise _inclusion(name)
                    yield event, element
            parser.close()
        except (etree.XMLSyntaxError, ValueError) as error:
            raise xml_refusal(name, error) from error

    def relationships(self, part: str) -> dict[str, Relationship]:
        """By id, what a part ("" for the package) refers to inside the package."""
        if part not in self._relationships:
            self._relationships[part] = self._read_relationships(part)
        return self._relationships[part]

    def main_part(self) -> str:
        """The part that the document begins with. Raises ParseFailed."""
        part = self.related("", "officeDocument")
        if part is None:
            raise ParseFailed("the archive is no office document, or it has lost its main part")
        return part

    def related(self, part: str, kind: str) -> str | None:
        """The first existing part of this kind that a part refers to."""
        relationships = self.relationships(part).values()
        return next((one.target for one in relationships if one.kind == kind and self.has(one.target)), None)

    def content_type(self, part: str) -> str:
        """As the package declares it; empty if it does not."""
        if not self.has("[Content_Types].xml"):
            return ""
        for element in self.root("[Content_Types].xml").iter(f"{_CONTENT_TYPE}Override"):
            if _plain_name(element.get("PartName", "")) == _plain_name(part):
                return str(element.get("ContentType", ""))
        return ""

    def title(self) -> str | None:
        """From the document's properties, unless a program wrote it there by itself."""
        part = self.related("", "core-properties")
        if part is None:
            return None
        try:
            return sensible_title(self.root(part).findtext(_CORE_TITLE))
        except ParseFailed:
            return None

    def _read_relationships(self, part: str) -> dict[str, Relationship]:
        folder, name = posixpath.split(part)
        relationships_part = posixpath.join(folder, "_rels", f"{name}.rels")
        if not self.has(relationships_part):
            return {}
        found: dict[str, Relationship] = {}
        for element in self.root(relationships_part).iter(_PACKAGE_RELATIONSHIP):
            if element.get("TargetMode") != "External":
                kind = element.get("Type", "").rpartition("/")[2]
                target = posixpath.normpath(posixpath.join("/", folder, unquote(element.get("Target", ""))))
                found[element.get("Id", "")] = Relationship(kind, target.lstrip("/"))
        return found

    def _member(self, name: str) -> zipfile.ZipInfo:
        try:
            return self._members[_plain_name(name)]
        except KeyError as error:
            raise ParseFailed(f"the document has lost its part {name!r}") from error

    def _slices(self, name: str) -> Iterator[bytes]:
        with self._archive.open(self._member(name)) as stream:
            first = stream.read(_SLICE)
            is_strict = _STRICT.search(first) is not None
            yield _in_transitional(first)
            while part := stream.read(_SLICE):
                yield _in_transitional(part) if is_strict else part


def office_media_type(archive: zipfile.ZipFile) -> str:
    """Which kind of Office document it is, macros or not, template or not. Raises ParseFailed, UnsafeXml."""
    package = OfficePackage(archive)
    part = package.main_part()
    found = _APPLICATION.search(f"{package.content_type(part)} {part}".lower())
    if found is None:
        raise ParseFailed("the archive is no document of Word, PowerPoint or Excel")
    return OFFICE_MEDIA_TYPES[found[0]]


def sensible_title(title: str | None) -> str | None:
    """The title, if a person seems to have written it."""
    title = (title or "").strip()
    return None if not title or _NO_TITLE.fullmatch(title) else title


def release(element: Element, *, with_siblings: bool = False) -> None:
    """Give an element's memory back, and that of what stands before it."""
    element.clear()
    while with_siblings and element.getprevious() is not None:
        del element.getparent()[0]


def whole_number(value: str | None, default: int = 0) -> int:
    """A number as attributes have it; the default for what is none, or beyond all use."""
    try:
        return int(value) if value is not None and len(value) < 12 else default
    except ValueError:
        return default


def _plain_name(name: str) -> str:
    """Part names do not tell cases apart; some programs write backslashes."""
    return name.replace("\\", "/").lstrip("/").lower()


def _in_transitional(xml: bytes) -> bytes:
    return _STRICT.sub(_TRANSITIONAL, xml)


def _refuse_doctype(element: Element, name: str) -> None:
    if element.getroottree().docinfo.internalDTD is not None:
        raise UnsafeXml(f"{name!r} has a document type declaration")


def _inclusion(name: str) -> UnsafeXml:
    return UnsafeXml(f"{name!r} asks for another file to be included")


def xml_refusal(name: str, error: Exception) -> Exception:
    """What libxml2's refusal to read a part means: MemoryError, ParseLimit, or ParseFailed."""
    code = getattr(error, "code", None)
    if code == etree.ErrorTypes.ERR_NO_MEMORY:
        return MemoryError()
    if code == _RESOURCE_LIMIT:
        return ParseLimit(f"the document's part {name!r} nests too deep, or has too much text in one element")
    return ParseFailed(f"the document's part {name!r} is damaged: it is no well-formed XML")
