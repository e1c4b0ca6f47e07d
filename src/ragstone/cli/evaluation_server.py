"""The server of an evaluation: its answers, and which of its documents are meant by a name."""

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from ragstone.cli.client import ApiClient
from ragstone.cli.failure import CommandFailed, Refused, ServerSilent
from ragstone.cli.following import LONGEST_LIST, batches
from ragstone.evaluation.replies import QuestionFailed

FIELDS = ("document_id", "source", "filename", "title")  # the first by which a name is known counts


class EvaluatedServer:
    """One collection of it."""

    def __init__(self, client: ApiClient, collection: str):
        self._client = client
        self._collection = collection

    async def check(self) -> None:
        """That it is there and has the collection. Raises CommandFailed."""
        found = await self._client.call("GET", f"/collections/{quote(self._collection, safe='')}")
        if not isinstance(found, dict) or found.get("name") != self._collection:
            raise CommandFailed("the server's answer is none of Ragstone's API")

    async def ask(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Raises QuestionFailed."""
        try:
            return await self._client.call("POST", "/query", json=body)
        except Refused as error:
            raise QuestionFailed(error.code, error.problem) from error
        except ServerSilent as error:
            raise QuestionFailed("server_silent", error.message) from error

    async def named(self, names: Iterable[str]) -> dict[str, frozenset[str]]:
        """Name → ids of the searchable documents that it means; of names without any there is no entry. Raises
        CommandFailed."""
        left = dict.fromkeys(names)
        found: dict[str, set[str]] = {}
        for field in FIELDS:
            for values in batches(left):
                async for document in self._listed(field, values):
                    found.setdefault(document["id" if field == "document_id" else field], set()).add(
                        document["id"]
                    )
            left = {name: None for name in left if name not in found}
        return {name: frozenset(ids) for name, ids in found.items()}

    async def _listed(self, field: str, values: list[str]) -> Any:
        where = json.dumps({"field": field, "in": values}, ensure_ascii=False)
        params = {
            "collection": self._collection,
            "status": "ready",
            "filter": where,
            "limit": LONGEST_LIST,
        }
        while True:
            page = await self._client.call("GET", "/documents", params=params)
            for document in page["items"]:
                yield document
            if page["next_cursor"] is None:
                return
            params["cursor"] = page["next_cursor"]
