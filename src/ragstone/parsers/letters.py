"""What mails of all formats have in common: a block of headers, and a body in plain text or HTML."""

import re
from collections.abc import Iterable

from ragstone.core.errors import Encrypted
from ragstone.core.models import BlockKind
from ragstone.parsers.blocks import BlockWriter
from ragstone.parsers.decoding import clean
from ragstone.parsers.html import read_page
from ragstone.parsers.text import paragraphs

_PGP = "-----BEGIN PGP MESSAGE-----"
_NAME_CHARACTERS = 100
_FLOWED = re.compile(r"(?<=\S) \n(?![> \n])")


def write_headers(writer: BlockWriter, subject: str, headers: Iterable[tuple[str, str]]) -> None:
    """The subject as the heading that all the rest stands under, then a line for each header that is there."""
    writer.add_heading(1, subject)
    writer.add(BlockKind.PARAGRAPH, "\n".join(f"{name}: {value}" for name, value in headers if value))


def write_plain(writer: BlockWriter, text: str, *, is_flowed: bool = False) -> None:
    """Paragraphs as blank lines part them; lines that were broken for the journey only are joined. Raises Encrypted."""
    text = clean(text)
    if text.lstrip().startswith(_PGP):
        raise Encrypted("the mail is encrypted")
    if is_flowed:
        text = _FLOWED.sub(" ", text)
    for start, end in paragraphs(text):
        line_start = text.rfind("\n", 0, start) + 1  # its indentation shows what belongs to a list
        writer.add(BlockKind.PARAGRAPH, text[line_start:end])


def mail_name(subject: str) -> str:
    """The file name of a mail that is attached to another."""
    return f"{subject.replace('/', '-')[:_NAME_CHARACTERS].strip() or 'mail'}.eml"


def write_html(writer: BlockWriter, page: str) -> None:
    """The page's blocks; its headings stand below the subject. Raises ParseLimit."""
    read_page(clean(page), writer, below=1)
