"""From bytes to text and blocks: which parser reads which media type. Parsers run in the worker's child process.

A new format is one file and one line in the table; its library loads when the first such document comes.
"""

from collections.abc import Mapping
from types import MappingProxyType

from ragstone.core.errors import UnsupportedMediaType
from ragstone.core.ports import Parser
from ragstone.core.registry import load_object

PARSERS: Mapping[str, str] = MappingProxyType(
    {
        "text/html": "ragstone.parsers.html:HtmlParser",
        "text/markdown": "ragstone.parsers.markdown:MarkdownParser",
        "text/plain": "ragstone.parsers.text:TextParser",
    }
)


def parser_path(media_type: str, parsers: Mapping[str, str] = PARSERS) -> str:
    """The import path of the media type's parser. Raises UnsupportedMediaType, naming the supported ones."""
    try:
        return parsers[media_type]
    except KeyError as error:
        raise unsupported(media_type, parsers) from error


def parser_for(media_type: str) -> Parser:
    """A parser of this media type. Raises UnsupportedMediaType."""
    parser: Parser = load_object(parser_path(media_type))()
    return parser


def unsupported(found: str, parsers: Mapping[str, str] = PARSERS) -> UnsupportedMediaType:
    """The refusal of content that looks like `found`."""
    return UnsupportedMediaType(f"{found} is not supported; supported: {', '.join(sorted(parsers))}")
