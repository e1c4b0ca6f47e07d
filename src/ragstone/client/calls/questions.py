"""`POST /query` and `POST /search`: nothing changes, so they may be asked again."""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from ragstone.api.schemas.query import AnswerReply, SearchReply, TurnModel
from ragstone.client.call import Call, Json, given

Mode: TypeAlias = Literal["hybrid", "dense", "sparse"]
Turn: TypeAlias = TurnModel | Json
"""`{"role": "user" | "assistant", "content": …}`."""


def query(
    question: str,
    *,
    collection: str = "default",
    top_k: int | None = None,
    filter: Json | None = None,  # noqa: A002 - the API's name for it
    mode: Mode | None = None,
    history: Sequence[Turn] | None = None,
    provider: str | None = None,
    model: str | None = None,
    temperature: float | None = None,
    max_tokens: int | None = None,
    strict: bool | None = None,
    timeout_s: float | None = None,
    context_window: int | None = None,
    max_chunks_per_document: int | None = None,
) -> Call[AnswerReply]:
    """An answer in which every claim points at the exact place it came from, or an abstention with its reason."""
    body = given(
        query=question,
        collection=collection,
        top_k=top_k,
        filter=filter,
        mode=mode,
        history=None if history is None else [_turn(turn) for turn in history],
        provider=provider,
        model=model,
        temperature=temperature,
        max_tokens=max_tokens,
        strict=strict,
        timeout_s=timeout_s,
        context_window=context_window,
        max_chunks_per_document=max_chunks_per_document,
    )
    return Call(
        method="POST",
        path="/query",
        json=body,
        parse=AnswerReply.model_validate_json,
        is_repeatable=True,
    )


def search(
    question: str,
    *,
    collection: str = "default",
    top_k: int | None = None,
    offset: int | None = None,
    filter: Json | None = None,  # noqa: A002 - the API's name for it
    mode: Mode | None = None,
    include_text: bool | None = None,
    context_window: int | None = None,
    max_chunks_per_document: int | None = None,
) -> Call[SearchReply]:
    """Passages that match, best first, with the score of each leg."""
    body = given(
        query=question,
        collection=collection,
        top_k=top_k,
        offset=offset,
        filter=filter,
        mode=mode,
        include_text=include_text,
        context_window=context_window,
        max_chunks_per_document=max_chunks_per_document,
    )
    return Call(
        method="POST",
        path="/search",
        json=body,
        parse=SearchReply.model_validate_json,
        is_repeatable=True,
    )


def _turn(turn: Turn) -> Any:
    return turn.model_dump() if isinstance(turn, TurnModel) else dict(turn)
