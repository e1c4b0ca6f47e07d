"""Citations as OpenAI's annotations."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ragstone.core.models import Citation, Document, DocumentName
from ragstone.services.files import file_id_of


def url_citation(citation: Citation, base_url: str) -> dict[str, Any]:
    """For a chat message: the claim's span in code points with an exclusive end, and a link that opens the page with
    the passage."""
    return {
        "type": "url_citation",
        "url_citation": {
            "start_index": citation.answer.start,
            "end_index": citation.answer.end,
            "title": citation.source.title,
            "url": passage_url(citation, base_url),
        },
    }


def passage_url(citation: Citation, base_url: str) -> str:
    """Where a person can read the passage."""
    cited = citation.source
    place = f"document={quote(cited.document_id)}&version={cited.version}&start={cited.start}&end={cited.end}"
    return f"{base_url}#{place}"


def file_citation(citation: Citation, files: Mapping[str, DocumentName]) -> dict[str, Any]:
    """For the text of a response; `index` is where the claim ends in it, in code points. `files` are names of the
    documents that were found, by their ids."""
    document = files.get(citation.source.document_id)
    return {
        "type": "file_citation",
        "index": citation.answer.end,
        "file_id": citation.source.document_id if document is None else file_id_of(document),
        "filename": (document and document.filename) or citation.source.title,
    }


def filename_of(document: Document) -> str:
    """What the file is called; a text that was sent without a name has its title."""
    return document.filename or document.title
