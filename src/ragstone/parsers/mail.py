"""Mail as it travels (RFC 5322 and MIME): headers, the body once, and the attachments as documents of their own."""

from collections.abc import Iterator

from ragstone.core.errors import Encrypted, ParseFailed
from ragstone.core.models import ParsedDocument
from ragstone.parsers.archive import look_into_children
from ragstone.parsers.blocks import BlockWriter
from ragstone.parsers.bounds import BoundedParser
from ragstone.parsers.decoding import decode, require_text
from ragstone.parsers.html_source import declared_encoding, encoding_named
from ragstone.parsers.letters import mail_name, write_headers, write_html, write_plain
from ragstone.parsers.mail_headers import filename, is_mail, shown
from ragstone.parsers.mail_parts import Part, headers_of, read_parts
from ragstone.parsers.members import Children

_SHOWN_HEADERS = ("From", "To", "Cc", "Date")
_MAIL = "message/rfc822"
_SMIME = frozenset(("application/pkcs7-mime", "application/x-pkcs7-mime"))
_SIGNATURES = frozenset(
    ("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature")
)
# Reports of a mail server: what it says of each recipient, and the headers of what it could not deliver.
_REPORTS = frozenset(("message/delivery-status", "message/disposition-notification", "text/rfc822-headers"))


class MailParser(BoundedParser):
    """Implements `Parser` for message/rfc822."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Raises NoText, ParseFailed, ParseLimit, UnsafeArchive, Encrypted."""
        mail = read_parts(content)
        if not is_mail(mail.headers):
            raise ParseFailed("the file has none of the headers of a mail")
        _refuse_encrypted(mail)
        writer, children = BlockWriter(), Children("mail", self.limits)
        headers = [(name, shown(mail.headers, name)) for name in _SHOWN_HEADERS]
        write_headers(writer, shown(mail.headers, "Subject"), headers)
        for part in _bodies(mail):
            _write_body(writer, part)
        for part in _attachments(mail):
            children.add(_name(part), part.content(), part.media_type)
        look_into_children(children.all(), len(content), self.limits)
        children.name_in(writer)
        parsed = writer.finish(title=None, children=children.all())
        require_text(parsed.text)
        return parsed


def _refuse_encrypted(mail: Part) -> None:
    is_sealed = mail.media_type in _SMIME and mail.headers.get_param("smime-type") not in (
        *("signed-data", "certs-only", "compressed-data"),
    )
    if is_sealed or mail.media_type == "multipart/encrypted":
        raise Encrypted("the mail is encrypted")


# ---- the body ----


def _bodies(part: Part) -> Iterator[Part]:
    """The parts that a mail program shows one below the other; of alternatives one."""
    if part.media_type == "multipart/alternative" and part.parts:
        yield from _best(part.parts)
    elif part.media_type == "multipart/related" and part.parts:
        yield from _bodies(_root(part))
    elif part.parts:
        for inner in part.parts:
            yield from _bodies(inner)
    elif _is_shown(part):
        yield part


def _is_shown(part: Part) -> bool:
    if part.is_attachment or part.media_type == "text/calendar":
        return False
    is_multipart = part.headers.get_content_maintype() == "multipart"  # without a boundary: text after all
    return part.headers.get_content_maintype() == "text" or part.media_type in _REPORTS or is_multipart


def _best(alternatives: tuple[Part, ...]) -> list[Part]:
    """Plain text if it has any, else the last that can be shown: the best, by the standard."""
    bodies = [list(_bodies(part)) for part in alternatives]
    bodies = [parts for parts in bodies if any(_has_text(part) for part in parts)]
    for parts in bodies:
        if parts[0].media_type == "text/plain":
            return parts
    return bodies[-1] if bodies else []


def _has_text(part: Part) -> bool:
    return bool(bytes(part.body[:10_000]).strip())


def _root(related: Part) -> Part:
    """The part that shows the others: the one that is named as the start, or the first."""
    start = related.headers.get_param("start")
    for part in related.parts:
        if start and part.headers.get("content-id", "") == start:
            return part
    return related.parts[0]


def _write_body(writer: BlockWriter, part: Part) -> None:
    content = part.content()
    declared = encoding_named(str(part.headers.get_param("charset", "")))
    if part.media_type in ("text/html", "application/xhtml+xml"):
        write_html(writer, decode(content, declared=declared or declared_encoding(content)).text)
        return
    is_flowed = str(part.headers.get_param("format", "")).lower() == "flowed"
    write_plain(writer, decode(content, declared=declared).text, is_flowed=is_flowed)


# ---- attachments ----


def _attachments(mail: Part) -> Iterator[Part]:
    """The parts that are files or mails of their own, in order; not what only decorates or signs the body."""
    open_parts = [(mail, False)]
    while open_parts:
        part, is_related = open_parts.pop()
        is_alternative = part.media_type == "multipart/alternative"
        if part.parts:
            below = is_related or part.media_type == "multipart/related"
            open_parts += ((inner, below) for inner in reversed(part.parts))
        elif not _is_shown(part) and not _is_decoration(part, is_related=is_related) and not is_alternative:
            yield part


def _is_decoration(part: Part, *, is_related: bool) -> bool:
    kind = part.headers.get_content_maintype()
    if part.media_type in _SIGNATURES or (kind == "text" and not part.is_attachment):
        return True
    is_inline = is_related or part.headers.get_content_disposition() != "attachment"
    return kind == "image" and is_inline


def _name(part: Part) -> str:
    """As the sender named it; a mail after its subject."""
    name = filename(part.headers)
    if part.media_type != _MAIL or (name or "").lower().endswith(".eml"):
        return name or "attachment"
    return mail_name(name or shown(headers_of(part.content()), "Subject"))
