"""From bytes to text and blocks: which parser reads which media type. Parsers run in the worker's child process.

A new format is one file and one line in the table; its library loads when the first such document comes.
"""

from collections.abc import Mapping
from types import MappingProxyType

from ragstone.core.errors import UnsupportedMediaType
from ragstone.core.ports import Parser
from ragstone.core.registry import load_object
from ragstone.parsers.bounds import BoundedParser, Limits
from ragstone.parsers.tesseract import HINT, is_installed

ARCHIVES = (
    *("application/gzip", "application/x-bzip2", "application/x-tar", "application/x-xz"),
    "application/zip",
)
PICTURES = ("image/gif", "image/jpeg", "image/png", "image/tiff", "image/webp")
PARSERS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(ARCHIVES, "ragstone.parsers.archive:ArchiveParser"),
        **dict.fromkeys(PICTURES, "ragstone.parsers.image:ImageParser"),
        "application/epub+zip": "ragstone.parsers.epub:EpubParser",
        "application/json": "ragstone.parsers.json:JsonParser",
        "application/jsonl": "ragstone.parsers.json:JsonLinesParser",
        "application/pdf": "ragstone.parsers.pdf:PdfParser",
        "application/rtf": "ragstone.parsers.rtf:RtfParser",
        "application/vnd.ms-excel": "ragstone.parsers.sheets:WorkbookParser",
        "application/vnd.ms-outlook": "ragstone.parsers.msg:MsgParser",
        "application/vnd.oasis.opendocument.spreadsheet": "ragstone.parsers.sheets:WorkbookParser",
        "application/vnd.oasis.opendocument.text": "ragstone.parsers.odt:OdtParser",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation": "ragstone.parsers.pptx:PptxParser",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "ragstone.parsers.sheets:WorkbookParser",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "ragstone.parsers.docx:DocxParser",
        **dict.fromkeys(("application/xml", "image/svg+xml"), "ragstone.parsers.xml:XmlParser"),
        "application/x-ipynb+json": "ragstone.parsers.notebook:NotebookParser",
        "application/x-ole-storage": "ragstone.parsers.ole:OleParser",
        "message/rfc822": "ragstone.parsers.mail:MailParser",
        "text/csv": "ragstone.parsers.csv:CsvParser",
        "text/html": "ragstone.parsers.html:HtmlParser",
        "text/markdown": "ragstone.parsers.markdown:MarkdownParser",
        "text/plain": "ragstone.parsers.text:TextParser",
        "text/tab-separated-values": "ragstone.parsers.csv:CsvParser",
        "text/x-rst": "ragstone.parsers.rst:RstParser",
        "text/x-source": "ragstone.parsers.code:CodeParser",
    }
)


def parser_path(media_type: str, parsers: Mapping[str, str] = PARSERS) -> str:
    """The import path of the media type's parser. Raises UnsupportedMediaType, naming the supported ones."""
    try:
        return parsers[media_type]
    except KeyError as error:
        raise unsupported(media_type, parsers) from error


def parser_for(media_type: str, limits: Limits | None = None) -> Parser:
    """A parser of this media type. Raises UnsupportedMediaType."""
    return build_parser(parser_path(media_type), limits)


def build_parser(path: str, limits: Limits | None = None) -> Parser:
    """The parser at an import path; one that keeps limits itself is given them."""
    kind = load_object(path)
    parser: Parser = kind(limits) if issubclass(kind, BoundedParser) else kind()
    return parser


def unsupported(found: str, parsers: Mapping[str, str] = PARSERS) -> UnsupportedMediaType:
    """The refusal of content that looks like `found`."""
    known = parsers.keys() if is_installed() else parsers.keys() - set(PICTURES)
    hint = f" ({HINT})" if found.startswith(PICTURES) else ""
    return UnsupportedMediaType(f"{found} is not supported{hint}; supported: {', '.join(sorted(known))}")
