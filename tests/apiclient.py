"""The API as its tests speak to it, in process or over a socket: a call a line."""

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any

import httpx2
import orjson

from tests.waiting import until

FINAL = frozenset({"succeeded", "failed", "cancelled"})
Json = dict[str, Any]


class Api:
    """A client; every reply is checked for what all replies have."""

    def __init__(self, http: httpx2.AsyncClient, *, poll_s: float = 0.02):
        self.http = http
        self._poll_s = poll_s

    async def call(self, method: str, path: str, **request: Any) -> httpx2.Response:
        """One request; the reply carries a request id, its timing, and an error in our shape."""
        response = await self.http.request(method, path, **request)
        check_reply(response)
        return response

    async def get(self, path: str, expected: int = 200, /, **params: Any) -> Json:
        """GET and expect a status."""
        return await self._expect(expected, "GET", path, params=params or None)

    async def post(self, path: str, body: Any, status: int = 200) -> Json:
        """POST JSON and expect a status."""
        return await self._expect(status, "POST", path, json=body)

    async def delete(self, path: str, expected: int = 200, /, **params: Any) -> Json:
        """DELETE and expect a status."""
        return await self._expect(expected, "DELETE", path, params=params or None)

    async def refused(self, method: str, path: str, status: int, **request: Any) -> Json:
        """Expect an error; returns its inner object."""
        response = await self.call(method, path, **request)
        assert response.status_code == status, response.text
        error: Json = response.json()["error"]
        return error

    async def new_collection(self) -> str:
        """An empty collection, for this test alone."""
        name = f"c-{uuid.uuid4().hex[:12]}"
        await self.post("/collections", {"name": name}, 201)
        return name

    async def upload_text(self, text: str, *, status: int = 202, **fields: Any) -> Json:
        """Upload a text; returns document and job."""
        return await self.post("/documents", {"text": text, **fields}, status)

    async def upload(
        self, content: bytes, filename: str = "file.txt", *, status: int = 202, **fields: str
    ) -> Json:
        """Upload one file; returns document and job."""
        return await self._expect(
            status, "POST", "/documents", files={"file": (filename, content)}, data=fields
        )

    async def finished(self, job_id: str) -> Json:
        """The job once it has ended."""

        async def has_ended() -> bool:
            return (await self.get(f"/jobs/{job_id}"))["state"] in FINAL

        await until(has_ended, every_s=self._poll_s)
        return await self.get(f"/jobs/{job_id}")

    async def settled(self, upload: Mapping[str, Any]) -> Json:
        """The document of an upload once its job has ended."""
        await self.finished(upload["job"]["id"])
        return await self.get(f"/documents/{upload['document']['id']}")

    async def ready_text(self, text: str, **fields: Any) -> Json:
        """Upload a text and wait until it is searchable."""
        return _ready(await self.settled(await self.upload_text(text, **fields)))

    async def all_ready(self, collection: str, texts: Mapping[str, str], **fields: Any) -> dict[str, Json]:
        """Upload texts by their sources, in this order, and wait for them together."""
        uploads = [
            await self.upload_text(text, source=source, collection=collection, **fields)
            for source, text in texts.items()
        ]
        documents = await asyncio.gather(*(self.settled(upload) for upload in uploads))
        return dict(zip(texts, map(_ready, documents), strict=True))

    async def ready(self, content: bytes, filename: str = "file.txt", **fields: str) -> Json:
        """Upload a file and wait until it is searchable."""
        return _ready(await self.settled(await self.upload(content, filename, status=202, **fields)))

    async def search(self, query: str, **fields: Any) -> list[Json]:
        """The passages found."""
        results: list[Json] = (await self.post("/search", {"query": query, **fields}))["results"]
        return results

    async def query(self, question: str, **fields: Any) -> Json:
        """The answer."""
        return await self.post("/query", {"query": question, **fields})

    async def text(self, document_id: str) -> str:
        """The extracted text."""
        response = await self.call("GET", f"/documents/{document_id}/text")
        assert response.status_code == 200
        return response.content.decode("utf-8")

    async def _expect(self, status: int, method: str, path: str, **request: Any) -> Json:
        response = await self.call(method, path, **request)
        assert response.status_code == status, f"{response.status_code} {response.text[:500]}"
        body: Json = response.json()
        return body


def check_reply(response: httpx2.Response) -> None:
    """What every reply has, whatever was asked."""
    assert response.headers["x-request-id"]
    assert "total;dur=" in response.headers["server-timing"]
    assert response.headers["x-content-type-options"] == "nosniff"
    if response.status_code in (429, 503):
        assert int(response.headers["retry-after"]) >= 1
    if response.status_code >= 400:
        body = orjson.loads(response.content)  # strict: no NaN, no lone surrogate
        if set(body) == {"items"}:  # many files, each with its own error
            return
        error = body["error"]
        more = {"type", "param"} if response.request.url.path.startswith("/v1/") else set()
        assert set(error) == {"code", "message", "retryable", "request_id", "details"} | more
        assert error["request_id"] == response.headers["x-request-id"]
        assert response.headers["content-type"] == "application/json"
        assert all(set(detail) == {"loc", "type", "msg"} for detail in error["details"])


def _ready(document: Json) -> Json:
    assert document["status"] == "ready", document["error"]
    assert document["pending"] is None
    return document
