"""The addresses of documents as resources."""

import re

SCHEME = "ragstone://documents/"
TEMPLATE = SCHEME + "{document_id}"
VERSION_TEMPLATE = SCHEME + "{document_id}/versions/{version}"

_ADDRESS = re.compile(re.escape(SCHEME) + r"([0-9A-Za-z-]{1,64})(?:/versions/([1-9][0-9]{0,8}))?")


def address_of(document_id: str) -> str:
    """The visible version's."""
    return f"{SCHEME}{document_id}"


def parse_address(address: str) -> tuple[str, int | None] | None:
    """Document id and version, None for the visible one; None as a whole for what is no address of a document."""
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return None
    return found[1], None if found[2] is None else int(found[2])
