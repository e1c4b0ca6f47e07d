"""Small office documents, written by hand."""

from tests.containers import zipped

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_NAMESPACES = (
    f'xmlns:w="{W}" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
    ' xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    ' xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
    ' xmlns:v="urn:schemas-microsoft-com:vml" xmlns:wps="urn:wps" xmlns:x="urn:x"'
)
_RELATIONSHIPS = "http://schemas.openxmlformats.org/package/2006/relationships"
_TYPE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
_CORE = "http://schemas.openxmlformats.org/package/2006/metadata/core-properties"
_OASIS = "urn:oasis:names:tc:opendocument:xmlns:"
_ODF = " ".join(
    f'xmlns:{prefix}="{_OASIS}{name}:1.0"'
    for prefix, name in (
        *(("office", "office"), ("text", "text"), ("style", "style"), ("table", "table")),
        *(("draw", "drawing"), ("svg", "svg-compatible")),
    )
)


def relationships(*targets: tuple[str, str]) -> str:
    """A part with relationships `rId1`, `rId2`, … of these kinds."""
    rows = (
        f'<Relationship Id="rId{number}" Type="{_TYPE}{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets, 1)
    )
    return f'<Relationships xmlns="{_RELATIONSHIPS}">{"".join(rows)}</Relationships>'


def docx_parts(body: str, *, title: str = "", **parts: str) -> dict[str, str | bytes]:
    """The members of a Word document; `parts` are the insides of styles, numbering, footnotes, endnotes."""
    main = f"<w:document {_NAMESPACES}><w:body>{body}</w:body></w:document>"
    core = f'<c:coreProperties xmlns:c="{_CORE}" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}</dc:title></c:coreProperties>'
    return {
        "_rels/.rels": relationships(
            ("officeDocument", "word/document.xml"), ("core-properties", "docProps/core.xml")
        ),
        "docProps/core.xml": core,
        "word/document.xml": main,
        "word/_rels/document.xml.rels": relationships(*((name, f"{name}.xml") for name in parts)),
        **{
            f"word/{name}.xml": f"<w:{name} {_NAMESPACES}>{inside}</w:{name}>"
            for name, inside in parts.items()
        },
    }


def docx(body: str, *, title: str = "", **parts: str) -> bytes:
    """A Word document."""
    return zipped(docx_parts(body, title=title, **parts))


def paragraph(text: str, properties: str = "") -> str:
    """A paragraph of Word with one run."""
    return f'<w:p><w:pPr>{properties}</w:pPr><w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>'


def odt_parts(body: str, *, styles: str = "", title: str = "") -> dict[str, str | bytes]:
    """The members of an OpenDocument text; `styles` are automatic ones."""
    content = (
        f"<office:document-content {_ODF}><office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:body><office:text>{body}</office:text></office:body></office:document-content>"
    )
    meta = (
        f'<office:document-meta {_ODF} xmlns:dc="http://purl.org/dc/elements/1.1/"><office:meta>'
        f"<dc:title>{title}</dc:title></office:meta></office:document-meta>"
    )
    return {"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": content, "meta.xml": meta}


def odt(body: str, *, styles: str = "", title: str = "") -> bytes:
    """An OpenDocument text."""
    return zipped(odt_parts(body, styles=styles, title=title))
