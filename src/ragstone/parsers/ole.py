"""What an OLE container holds: an encrypted document of a new Office, or one of an old program.

Only what opens with the password that Office itself tries is decrypted; nothing is guessed. Workbooks and mails are
other parsers' business.
"""

import io
import struct
import zipfile
from xml.parsers.expat import ExpatError

from msoffcrypto.exceptions import (  # type: ignore[import-untyped]
    DecryptionError,
    FileFormatError,
    InvalidKeyError,
    ParseError,
)
from msoffcrypto.format.ooxml import OOXMLFile  # type: ignore[import-untyped]
from olefile import OleFileIO  # type: ignore[import-untyped]

from ragstone.core.errors import Encrypted, LegacyFormat, ParseFailed, UnsafeXml, UnsupportedMediaType
from ragstone.core.models import ParsedDocument
from ragstone.core.ports import Parser
from ragstone.parsers import parser_for
from ragstone.parsers.bounds import BoundedParser, Limits
from ragstone.parsers.office_xml import office_media_type
from ragstone.parsers.ole_kinds import EXCEL, OLE, OUTLOOK
from ragstone.parsers.zips import open_office_zip

ENCRYPTED_OOXML = "application/encrypted-ooxml"
_WORD, _POWERPOINT = "application/msword", "application/vnd.ms-powerpoint"
# Entries right below the root, in lower case, that only one kind of document has.
_KINDS = {
    "encryptedpackage": ENCRYPTED_OOXML,
    "\tdrmcontent": ENCRYPTED_OOXML,  # rights management of older programs
    "__properties_version1.0": OUTLOOK,
    "worddocument": _WORD,
    "powerpoint document": _POWERPOINT,
    "workbook": EXCEL,
    "book": EXCEL,
    "visiodocument": "application/vnd.visio",
}
_LEGACY = {
    _WORD: "documents of Word before 2007 (.doc) are not read; save it as .docx or PDF",
    _POWERPOINT: "presentations of PowerPoint before 2007 (.ppt) are not read; save it as .pptx or PDF",
    "application/vnd.visio": "drawings of Visio before 2013 (.vsd) are not read; save it as PDF",
    OLE: "a file of an old program that is not read; save it as PDF",
}
_OFFICE_PASSWORD = (
    "VelvetSweatshop"  # noqa: S105  # Office encrypts with it what is protected against changes only
)
_MOST_SPINS = 1_000_000  # Office hashes a password 100,000 times; a file may ask for a hundred times as many
_MOST_INFO_BYTES = 64 * 1024
# What olefile and msoffcrypto raise for containers that are cut off or contradict themselves.
_BROKEN = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError),
    *(OSError, RecursionError, struct.error, ExpatError, FileFormatError, ParseError),
)


class OleParser(BoundedParser):
    """Implements `Parser` for OLE containers by handing them on, or saying why not."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Raises LegacyFormat, Encrypted, ParseFailed, UnsafeXml, and what the parser of the content raises."""
        kind = ole_kind(content)
        if kind in _LEGACY:
            raise LegacyFormat(_LEGACY[kind])
        if kind == ENCRYPTED_OOXML:
            content = _decrypted(content)
            with open_office_zip(content, self.limits) as archive:
                kind = office_media_type(archive)
        return _parser(kind, self.limits).parse(content)


def ole_kind(content: bytes) -> str:
    """The media type of what the container holds, `ENCRYPTED_OOXML`, or `OLE` for anything else. Raises ParseFailed."""
    try:
        with OleFileIO(io.BytesIO(content)) as ole:
            names = {path[0].lower() for path in ole.listdir(streams=True, storages=True)}
    except _BROKEN as error:
        raise ParseFailed(f"the OLE container is damaged: {type(error).__name__}") from error
    return next((kind for name, kind in _KINDS.items() if name in names), OLE)


def _parser(kind: str, limits: Limits) -> Parser:
    try:
        return parser_for(kind, limits)
    except UnsupportedMediaType as error:
        raise ParseFailed(error.message) from error


def _decrypted(content: bytes) -> bytes:
    """The document inside, if the password of Office opens it. Raises Encrypted, ParseFailed, UnsafeXml."""
    try:
        _inspect_encryption_info(content)
        document = OOXMLFile(io.BytesIO(content))
        if document.type == "agile" and document.info["spinValue"] > _MOST_SPINS:
            raise Encrypted("the document is protected by a password")
        document.load_key(password=_OFFICE_PASSWORD, verify_password=True)
        decrypted = io.BytesIO()
        document.decrypt(decrypted)
    except (InvalidKeyError, DecryptionError) as error:
        raise Encrypted("the document is protected by a password") from error
    except (*_BROKEN, zipfile.BadZipFile) as error:
        raise ParseFailed(f"the encrypted document is damaged: {type(error).__name__}") from error
    return decrypted.getvalue()


def _inspect_encryption_info(content: bytes) -> None:
    """Before msoffcrypto gives it to a parser of XML that reads document type declarations."""
    with OleFileIO(io.BytesIO(content)) as ole:
        if not ole.exists("EncryptionInfo"):
            raise Encrypted("the document is protected by rights management")
        info = ole.openstream("EncryptionInfo").read(_MOST_INFO_BYTES + 1)
    if len(info) > _MOST_INFO_BYTES:
        raise ParseFailed("the description of the document's encryption is too long")
    if b"<!" in info.replace(b"\0", b""):
        raise UnsafeXml("the description of the document's encryption has a document type declaration")
