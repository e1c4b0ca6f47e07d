"""XML and SVG: the words of the elements, titles as headings, records as lines of names and values.

Entities are not resolved, nothing outside the file is read, and a file that declares entities or includes others is
refused, since its text would be another one than its reader sees.
"""

from collections.abc import Iterator

from lxml import etree  # type: ignore[import-untyped]

from ragstone.core.errors import ParseFailed, UnsafeXml
from ragstone.core.models import BlockKind, ParsedDocument
from ragstone.parsers.blocks import BlockWriter, collapse_spaces
from ragstone.parsers.bounds import BoundedParser
from ragstone.parsers.office_xml import INCLUSIONS, SAFE, Element, xml_refusal
from ragstone.parsers.text import TextParser

_LOWEST_HEADING = 6
_SVG = "{http://www.w3.org/2000/svg}"
_NOT_SHOWN = frozenset({"script", "style"})
_TITLES = frozenset({"title", "head"})
_PROSE = frozenset({"desc", "description", "li", "p", "para", "simpara", "summary", "text", "tspan"})


class XmlParser(BoundedParser):
    """Implements `Parser` for application/xml and image/svg+xml."""

    def parse(self, content: bytes) -> ParsedDocument:
        """What is not well-formed, or says all that it says in attributes, is read as plain text. Raises NoText,
        UnsafeXml, ParseLimit."""
        try:
            root = etree.fromstring(content, etree.XMLParser(**SAFE))
        except (etree.XMLSyntaxError, ValueError) as error:
            _refuse_entities_of_text(content)
            refusal = xml_refusal("the file", error)
            if not isinstance(refusal, ParseFailed):
                raise refusal from error
            return TextParser().parse(content)
        _refuse_entities(root)
        writer = BlockWriter()
        _write(root, writer, level=1)
        if writer.is_empty:
            return TextParser().parse(content)
        return writer.finish(title=None, encoding=root.getroottree().docinfo.encoding.lower())


def _refuse_entities(root: Element) -> None:
    declared = root.getroottree().docinfo.internalDTD
    if declared is not None and next(declared.iterentities(), None) is not None:
        raise UnsafeXml("the file declares entities")
    if next(root.iter(INCLUSIONS), None) is not None:
        raise UnsafeXml("the file includes others")


def _refuse_entities_of_text(content: bytes) -> None:
    """Where no tree tells: in any encoding that keeps ASCII, or is two bytes wide."""
    if b"<!ENTITY" in content.replace(b"\0", b""):
        raise UnsafeXml("the file declares entities")


def _write(element: Element, writer: BlockWriter, *, level: int) -> None:
    """One block for mixed content and for a record; the parts of anything else one by one."""
    if _is_mixed(element):
        _add(element, writer, level)
        return
    children = [child for child in element if isinstance(child.tag, str)]
    if len(children) > 1 and all(_is_field(child) for child in children):
        writer.add(BlockKind.LIST, "\n".join(_fields(children)))
        return
    for child in children:
        if _name(child) not in _NOT_SHOWN:
            _write(child, writer, level=min(level + 1, _LOWEST_HEADING))


def _add(element: Element, writer: BlockWriter, level: int) -> None:
    text = "".join(_shown(element))
    if _name(element) in _TITLES:
        writer.add_heading(max(level - 1, 1), text)
    else:
        writer.add(BlockKind.PARAGRAPH, collapse_spaces(text))


def _shown(element: Element) -> Iterator[str]:
    """All text below, without that of scripts and styles."""
    yield element.text or ""
    for child in element:
        if not isinstance(child.tag, str):
            yield child.text or ""  # an entity that nobody declared stays as it stands
        elif _name(child) not in _NOT_SHOWN:
            yield from _shown(child)
        yield child.tail or ""


def _is_mixed(element: Element) -> bool:
    """Whether text stands right in it."""
    texts = (element.text, *(child.tail for child in element))
    return any(text and not text.isspace() for text in texts)


def _is_field(element: Element) -> bool:
    """A name with a value, as records have them, and not prose."""
    name = _name(element)
    return not len(element) and not element.tag.startswith(_SVG) and name not in _TITLES | _PROSE | _NOT_SHOWN


def _fields(children: list[Element]) -> Iterator[str]:
    for child in children:
        value = child.text or ", ".join(f"{name} {value}" for name, value in child.attrib.items())
        if value := collapse_spaces(value):
            yield f"{_name(child)}: {value}"


def _name(element: Element) -> str:
    """Without its namespace."""
    return str(element.tag.rpartition("}")[2]).lower()
