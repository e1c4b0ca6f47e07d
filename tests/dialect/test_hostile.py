"""What no honest client sends, to every route of the dialect that takes a body: a 4xx in OpenAI's shape that renders."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.live import Live

pytestmark = pytest.mark.asyncio(loop_scope="session")

JSON = {"content-type": "application/json"}
LONE = "\\ud800"
PLACE = "?"
STORE = "/v1/vector_stores"
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {
        "model": "ragstone/default",
        "messages": [{"role": "user", "content": "x"}],
        "temperature": 0.5,
        "max_tokens": 5,
        "ragstone": {"top_k": 3, "filter": {"field": "metadata.a", "eq": 1}},
    },
    "/v1/responses": {
        "model": "ragstone/default",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}],
        "tools": [
            {
                "type": "file_search",
                "vector_store_ids": ["default"],
                "max_num_results": 3,
                "filters": {"type": "eq", "key": "a", "value": 1},
            }
        ],
        "metadata": {"a": "b"},
    },
    "/v1/embeddings": {"model": "64", "input": ["x"]},
    STORE: {"name": "hostile", "metadata": {"a": "b"}, "file_ids": []},
    f"{STORE}/default": {"name": "hostile"},
    f"{STORE}/default/search": {
        "query": "x",
        "max_num_results": 3,
        "filters": {"type": "and", "filters": [{"type": "in", "key": "a", "value": [1]}]},
        "ranking_options": {"score_threshold": 0.5},
    },
    f"{STORE}/default/files": {
        "file_id": "x",
        "attributes": {"a": 1},
        "chunking_strategy": {
            "type": "static",
            "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 1},
        },
    },
    f"{STORE}/default/files/x": {"attributes": {"a": 1}},
    f"{STORE}/default/file_batches": {"files": [{"file_id": "x", "attributes": {"a": "b"}}]},
}


def mutations(value: Any) -> Iterator[Any]:
    """The value with one of its parts, deep or shallow, replaced by a mark, and with an unknown member that holds it."""
    yield PLACE
    if isinstance(value, dict):
        for name, part in value.items():
            for changed in mutations(part):
                yield {**value, name: changed}
        yield {**value, PLACE: 1}
    elif isinstance(value, list):
        for at, part in enumerate(value):
            for changed in mutations(part):
                yield [*value[:at], changed, *value[at + 1 :]]


async def send(live: Live, path: str, body: str) -> int:
    """The status; the reply's shape is checked, and that it is in OpenAI's words."""
    response = await live.api.call("POST", path, content=body.encode(), headers=JSON)
    if response.status_code >= 400:
        assert {"message", "type", "param", "code"} <= response.json()["error"].keys()
    return response.status_code


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(
    "hostile", [f'"{LONE}"', "NaN", "-Infinity", "1e999", "true", f'{{"{LONE}": [NaN]}}', "1" + "0" * 400]
)
async def test_no_value_anywhere_breaks_the_server(live: Live, path: str, hostile: str) -> None:
    for changed in mutations(BODIES[path]):
        body = json.dumps(changed)
        named = body.replace(f'"{PLACE}": ', f'"{LONE}": ').replace(f'"{PLACE}"', hostile)

        assert await send(live, path, named) < 500, named


@pytest.mark.parametrize("path", BODIES)
async def test_what_cannot_be_parsed_is_400(live: Live, path: str) -> None:
    for body in ("{", "[" * 100_000, '{"a": "\xff'):
        assert await send(live, path, body) == 400


@pytest.mark.parametrize("path", BODIES)
async def test_too_many_members_and_levels_are_refused_quickly(live: Live, path: str) -> None:
    many = json.dumps({f"k{number}": 1 for number in range(50_000)})
    deep: Any = {"type": "eq", "key": "a", "value": 1}
    for _ in range(300):
        deep = {"type": "and", "filters": [deep]}

    assert await send(live, path, many) in (400, 422)
    assert await send(live, path, json.dumps({**BODIES[path], "filters": deep})) in (400, 422)


@pytest.mark.parametrize("path", [*BODIES, "/v1/files"])
async def test_another_content_type_is_415(live: Live, path: str) -> None:
    response = await live.api.call("POST", path, content=b"{}", headers={"content-type": "text/plain"})

    assert (response.status_code, response.json()["error"]["type"]) == (415, "invalid_request_error")


@pytest.mark.parametrize("path", BODIES)
async def test_a_body_beyond_its_limit_is_413(live: Live, path: str) -> None:
    assert await send(live, path, json.dumps({"model": "x" * (2 * 1024 * 1024)})) == 413


@pytest.mark.parametrize(
    "name",
    ["../../x", "/etc/x", "..\\x", "%2e%2e%2f", "a\0b", "x" * 4_096, ".", "trailing.", "\u202egpj.exe"],
)
async def test_a_files_name_is_only_a_name(live: Live, name: str) -> None:
    response = await live.api.call(
        "POST",
        "/v1/files",
        files={"file": (name, f"Named {name!a}.".encode())},
        data={"purpose": "user_data"},
    )

    if response.status_code == 200:
        kept = response.json()["filename"]
        assert not set(kept) & {"/", "\\", "\0", "\u202e"}
        assert len(kept) <= 255
    else:
        assert response.status_code in (400, 422)


@pytest.mark.parametrize(
    "path",
    [
        "/v1",
        "/v1/",
        "/v1/unknown",
        "/v1/files/",
        "/v1/responses/x/input_items",
        "/v1/assistants",
        "/.//v1/files",
        "/v1/vector_stores/UPPER",
    ],
)
async def test_an_unknown_path_is_refused_in_a_shape(live: Live, path: str) -> None:
    response = await live.http.get(path)

    assert response.status_code in (404, 405, 422)
    assert response.json()["error"]["code"]
