"""What OpenAI's API puts on the wire: the shapes of its bodies, and nothing about when they are sent."""

import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

JSON = "application/json"
SSE = "text/event-stream; charset=utf-8"
HTML = "text/html; charset=utf-8"
CHAT_MODEL = "scripted"
EMBEDDING_MODEL = "scripted-embedding"

DONE = b"data: [DONE]\n\n"


class ApiError(Exception):
    """A refusal in OpenAI's shape."""

    def __init__(
        self,
        status: int,
        message: str,
        kind: str = "invalid_request_error",
        *,
        param: str | None = None,
        code: str | None = None,
    ):
        super().__init__(message)
        self.status = status
        self._error = {"message": message, "type": kind, "param": param, "code": code}

    def body(self) -> bytes:
        """The body of the response, which is also an event inside a stream."""
        return orjson.dumps({"error": self._error})


@dataclass(frozen=True, slots=True)
class Reply:
    """A chat reply: what is said in which pieces, and what all of its chunks repeat."""

    model: str
    tokens: Sequence[str]
    prompt_tokens: int
    finish_reason: str = "stop"
    includes_usage: bool = False
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def usage(self, completion_tokens: int) -> dict[str, int]:
        """What it costs once so many tokens were said."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": self.prompt_tokens + completion_tokens,
        }

    def role_frame(self) -> bytes:
        """The first chunk of a stream."""
        return self._choice_frame({"role": "assistant", "content": "", "refusal": None})

    def token_frame(self, token: str) -> bytes:
        """A chunk that says something."""
        return self._choice_frame({"content": token})

    def finish_frame(self, reason: str) -> bytes:
        """The chunk that proves the end."""
        return self._choice_frame({}, reason)

    def empty_frame(self, usage: dict[str, int] | None = None) -> bytes:
        """A chunk without choices, as the one with the usage is."""
        return self._frame([], usage)

    def completion(self, choices: list[dict[str, Any]], completion_tokens: int) -> bytes:
        """The body of a reply that is not streamed."""
        body = {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": choices,
            "usage": self.usage(completion_tokens),
            "service_tier": "default",
            "system_fingerprint": "fp_scripted",
        }
        return orjson.dumps(body)

    def _choice_frame(self, delta: dict[str, str | None], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._frame([choice], None)

    def _frame(self, choices: list[dict[str, Any]], usage: dict[str, int] | None) -> bytes:
        chunk = {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "service_tier": "default",
            "system_fingerprint": "fp_scripted",
            "choices": choices,
        }
        if self.includes_usage:
            chunk["usage"] = usage
        return event(orjson.dumps(chunk))


def event(line: bytes) -> bytes:
    """One event of a stream."""
    return b"data: %b\n\n" % line


def choice(content: str, finish_reason: str) -> dict[str, Any]:
    """The choice of a reply that is not streamed."""
    message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None, "annotations": []}
    return {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}


def embeddings_body(rows: Sequence[tuple[int, list[float] | str]], model: str, prompt_tokens: int) -> bytes:
    """Vectors as floats or base64, each with its index. NaN is written as most servers do, though JSON has none."""
    body = {
        "object": "list",
        "data": [{"object": "embedding", "index": index, "embedding": vector} for index, vector in rows],
        "model": model,
        "usage": {"prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens},
    }
    return json.dumps(body, separators=(",", ":")).encode()


def models_body() -> bytes:
    """The models there are."""
    models = [
        {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "ragstone"}
        for name in (CHAT_MODEL, EMBEDDING_MODEL)
    ]
    return orjson.dumps({"object": "list", "data": models})
