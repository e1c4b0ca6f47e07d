"""Mail as Outlook saves it: an OLE file with the message's properties. Encoded as RTF only, a body is not read."""

import io
import struct
from collections.abc import Callable, Iterator
from email.utils import format_datetime
from operator import attrgetter
from typing import TypeVar

from olefile import OleFileIO  # type: ignore[import-untyped]
from oxmsg import Message
from oxmsg.attachment import Attachment
from oxmsg.domain import constants, model
from oxmsg.properties import Properties
from oxmsg.recipient import Recipient
from oxmsg.storage import Storage

from ragstone.core.errors import Encrypted, ParseFailed, UnsafeArchive
from ragstone.core.models import ParsedDocument
from ragstone.parsers.archive import look_into_children
from ragstone.parsers.blocks import BlockWriter
from ragstone.parsers.bounds import BoundedParser
from ragstone.parsers.decoding import decode, require_text
from ragstone.parsers.html_source import declared_encoding
from ragstone.parsers.letters import mail_name, write_headers, write_html, write_plain
from ragstone.parsers.mail_headers import shown
from ragstone.parsers.mail_parts import headers_of
from ragstone.parsers.members import Children
from ragstone.parsers.msg_embedded import Letter, as_mail

_T = TypeVar("_T")

# What oxmsg and olefile raise for properties that are announced and missing, cut off or of another type.
_BROKEN = (
    *(AttributeError, AssertionError, ArithmeticError, LookupError, TypeError, ValueError),
    *(OSError, RecursionError, struct.error),
    *(model.UnrecognizedCodePageError, model.UnsupportedEncodingError),
)
_FILE_NAME = attrgetter("file_name")
_RECIPIENTS = {1: "To", 2: "Cc"}
_RECIPIENT_TYPE = 0x0C15
_EMBEDDED = "__substg1.0_3701000D"
_EMBEDDED_HEADER_BYTES = 24
_DEEPEST = 3  # mails in mails
_MOST_RECIPIENTS = 300
_SIGNED = "multipartsigned"


class MsgParser(BoundedParser):
    """Implements `Parser` for application/vnd.ms-outlook."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Raises NoText, ParseFailed, ParseLimit, UnsafeArchive, Encrypted."""
        message = _Message(_root(content))
        if message.is_encrypted:
            raise Encrypted("the mail is encrypted")
        letter = message.letter()
        writer, children = BlockWriter(), Children("mail", self.limits)
        write_headers(writer, letter.subject, letter.headers)
        if letter.body.strip():
            write_plain(writer, letter.body)
        elif letter.html:
            write_html(writer, letter.html)
        for name, attached, media_type in message.attachments(depth=0):
            children.add(name, attached, media_type)
        look_into_children(children.all(), len(content), self.limits)
        children.name_in(writer)
        parsed = writer.finish(title=None, children=children.all())
        require_text(parsed.text)
        return parsed


def _root(content: bytes) -> Storage:
    """Everything in the file. Several entries may name the same bytes, so their sizes are added up before."""
    try:
        with OleFileIO(io.BytesIO(content)) as ole:
            sizes = [entry.size for entry in ole.direntries if entry is not None and entry.entry_type == 2]
            if sum(sizes) > 2 * len(content):
                raise UnsafeArchive("the parts of the mail add up to more than the mail")
            root = Storage.from_ole(ole)
    except _BROKEN as error:
        raise ParseFailed(f"the mail is damaged: {type(error).__name__}") from error
    if "__properties_version1.0" not in {stream.name for stream in root.streams}:
        raise ParseFailed("the file is no mail: it has no properties of one")
    return root


def _or_none(read: Callable[..., _T], *arguments: object) -> _T | None:
    """What can be read; a property that is broken is as good as missing."""
    try:
        return read(*arguments)
    except _BROKEN:
        return None


class _Message:
    """A message, or one inside another, whose properties may be broken each for itself."""

    def __init__(self, storage: Storage, *, header_bytes: int = model.MSG_HDR_OFFSET):
        self._storage = storage
        self._message = Message(storage)
        self._properties = Properties(storage, properties_header_offset=header_bytes)

    @property
    def is_encrypted(self) -> bool:
        """S/MIME, or protected by the rights management of Microsoft."""
        kind = (self._text(constants.PID_MESSAGE_CLASS) or "").lower()
        is_sealed = kind.startswith("ipm.note.smime") and not kind.endswith(_SIGNED)
        names = {_or_none(_FILE_NAME, attached) for attached in self._message.attachments}
        return is_sealed or "message.rpmsg" in names

    def letter(self) -> Letter:
        """Its headers and its body."""
        recipients = dict.fromkeys(_RECIPIENTS.values(), "")
        for kind, recipient in self._recipients():
            recipients[kind] += f", {recipient}" if recipients[kind] else recipient
        return Letter(
            subject=self._text(constants.PID_SUBJECT) or "",
            headers=(
                ("From", self._sender()),
                *recipients.items(),
                ("Date", self._date()),
            ),
            body=self._text(constants.PID_BODY) or "",
            html=self._html(),
        )

    def attachments(self, *, depth: int) -> Iterator[tuple[str, bytes, str | None]]:
        """Name, content and media type of each; a message inside comes as a mail of the common kind."""
        for storage in self._storage.iter_attachment_storages():
            attached = Attachment(storage)
            inner = next((found for found in storage.storages if found.name == _EMBEDDED), None)
            if inner is not None and depth < _DEEPEST:
                message = _Message(inner, header_bytes=_EMBEDDED_HEADER_BYTES)
                letter = message.letter()
                mail = as_mail(letter, message.attachments(depth=depth + 1))
                yield mail_name(letter.subject), mail, "message/rfc822"
            elif content := _or_none(attrgetter("file_bytes"), attached):
                name = _or_none(_FILE_NAME, attached) or _short_name(attached)
                yield name, content, _or_none(attrgetter("mime_type"), attached)

    def _date(self) -> str:
        """As the mail says that travelled; programs that convert mails put their own time into the property."""
        travelled = self._text(constants.PID_TRANSPORT_MESSAGE_HEADERS) or ""
        if date := shown(headers_of(travelled.encode("utf-8", "replace")), "Date"):
            return date
        sent = _or_none(self._properties.date_prop_value, constants.PID_CLIENT_SUBMIT_TIME)
        return (_or_none(format_datetime, sent) or "") if sent is not None else ""

    def _sender(self) -> str:
        properties = constants.PID_SENDER_NAME, constants.PID_SENDER_SMTP_ADDRESS
        name, address = (self._text(pid) or "" for pid in properties)
        address = address or self._text(constants.PID_SENDER_EMAIL_ADDRESS) or ""
        return _person(name or self._text(constants.PID_SENT_REPRESENTING_NAME) or "", address)

    def _recipients(self) -> Iterator[tuple[str, str]]:
        for recipient in self._message.recipients[:_MOST_RECIPIENTS]:
            number = _or_none(_kind_of, recipient)
            kind = _RECIPIENTS.get(1 if number is None else number & 0xF)
            name = _or_none(attrgetter("name"), recipient) or ""
            address = _or_none(attrgetter("email_address"), recipient) or ""
            if kind is not None and (name or address):
                yield kind, _person(name, address)

    def _text(self, pid: int) -> str | None:
        """A property's text; of one whose bytes do not fit its encoding, what they seem to say."""
        text = _or_none(lambda: self._properties.str_prop_value(pid))
        if text is not None:
            return text
        wide = _or_none(self._storage.property_stream_bytes, pid, constants.PTYP_STRING)
        if wide:
            return wide.decode("utf-16-le", "replace")
        narrow = _or_none(self._storage.property_stream_bytes, pid, constants.PTYP_STRING8)
        return decode(narrow).text if narrow else None

    def _html(self) -> str:
        raw = _or_none(lambda: self._properties.binary_prop_value(constants.PID_HTML))
        if not raw:
            return self._text(constants.PID_BODY_HTML) or ""
        declared = declared_encoding(raw) or _or_none(lambda: self._properties.body_encoding or None)
        return decode(raw, declared=declared).text


def _kind_of(recipient: Recipient) -> int | None:
    return recipient.properties.int_prop_value(_RECIPIENT_TYPE)


def _short_name(attached: Attachment) -> str:
    short = _or_none(lambda: attached.properties.str_prop_value(constants.PID_ATTACH_FILENAME))
    return short or "attachment"


def _person(name: str, address: str) -> str:
    """Addresses inside an Exchange server are no addresses outside of it."""
    if "@" not in address or address == name:
        return name
    return f"{name} <{address}>" if name and address not in name else name or address
