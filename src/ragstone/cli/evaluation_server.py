"""The server of an evaluation: its answers, and which of its documents are meant by a name."""

from collections.abc import Iterable, Mapping
from typing import Any

from ragstone.cli.following import LONGEST_LIST, batches
from ragstone.client import ApiError, AsyncListing, AsyncRagstone, CallFailed, DocumentReply, UnexpectedReply
from ragstone.evaluation.replies import QuestionFailed

FIELDS = ("document_id", "source", "filename", "title")  # the first by which a name is known counts


class EvaluatedServer:
    """One collection of it."""

    def __init__(self, client: AsyncRagstone, collection: str):
        self._client = client
        self._collection = collection

    async def check(self) -> None:
        """That it is there and has the collection. Raises CallFailed."""
        await self._client.collections.get(self._collection)

    async def ask(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Raises QuestionFailed."""
        try:
            answer = await self._client.query(body["query"], **_options(body))
        except ApiError as error:
            raise QuestionFailed(error.code, error.message) from error
        except UnexpectedReply as error:
            raise QuestionFailed("bad_reply", error.message) from error
        except CallFailed as error:
            raise QuestionFailed("server_silent", error.message) from error
        return answer.model_dump(mode="json")

    async def named(self, names: Iterable[str]) -> dict[str, frozenset[str]]:
        """Name → ids of the searchable documents that it means; of names without any there is no entry. Raises
        CallFailed."""
        left = dict.fromkeys(names)
        found: dict[str, set[str]] = {}
        for field in FIELDS:
            for values in batches(left):
                async for document in self._listed(field, values):
                    found.setdefault(_name_of(document, field), set()).add(document.id)
            left = {name: None for name in left if name not in found}
        return {name: frozenset(ids) for name, ids in found.items()}

    def _listed(self, field: str, values: list[str]) -> AsyncListing[DocumentReply]:
        return self._client.documents.list(
            collection=self._collection,
            status="ready",
            filter={"field": field, "in": values},
            page_size=LONGEST_LIST,
        )


def _options(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "query"}


def _name_of(document: DocumentReply, field: str) -> str:
    name: str = document.id if field == "document_id" else getattr(document, field)
    return name
