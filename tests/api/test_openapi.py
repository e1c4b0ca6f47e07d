"""The OpenAPI document is complete: every route, every error, every model, with examples."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI

import ragstone
from ragstone.api.main import create_app
from ragstone.api.schemas.query import STREAM_EVENTS
from ragstone.config.settings import load_settings

ROUTES = {
    ("post", "/admin/backups"),
    ("post", "/query"),
    ("post", "/search"),
    ("post", "/documents"),
    ("get", "/documents"),
    ("delete", "/documents"),
    ("put", "/documents/{document_id}"),
    ("patch", "/documents/{document_id}"),
    ("get", "/documents/{document_id}/versions"),
    ("post", "/documents/{document_id}/versions/{version}/restore"),
    ("get", "/documents/{document_id}"),
    ("get", "/documents/{document_id}/content"),
    ("get", "/documents/{document_id}/text"),
    ("get", "/documents/{document_id}/chunks"),
    ("delete", "/documents/{document_id}"),
    ("post", "/documents/{document_id}/reindex"),
    ("post", "/collections"),
    ("get", "/collections"),
    ("get", "/collections/{name}"),
    ("delete", "/collections/{name}"),
    ("get", "/jobs"),
    ("get", "/jobs/{job_id}"),
    ("get", "/jobs/{job_id}/events"),
    ("post", "/jobs/{job_id}/cancel"),
    ("post", "/jobs/{job_id}/retry"),
    ("get", "/health"),
    ("get", "/health/live"),
    ("get", "/health/ready"),
    ("get", "/metrics"),
    ("get", "/admin/consistency"),
    ("post", "/admin/consistency"),
    ("get", "/v1/models"),
    ("get", "/v1/models/{model}"),
    ("post", "/v1/chat/completions"),
    ("post", "/v1/responses"),
    ("get", "/v1/responses/{response_id}"),
    ("delete", "/v1/responses/{response_id}"),
    ("post", "/v1/embeddings"),
    ("post", "/v1/files"),
    ("get", "/v1/files"),
    ("get", "/v1/files/{file_id}"),
    ("get", "/v1/files/{file_id}/content"),
    ("delete", "/v1/files/{file_id}"),
    ("post", "/v1/vector_stores"),
    ("get", "/v1/vector_stores"),
    ("get", "/v1/vector_stores/{store_id}"),
    ("post", "/v1/vector_stores/{store_id}"),
    ("delete", "/v1/vector_stores/{store_id}"),
    ("post", "/v1/vector_stores/{store_id}/search"),
    ("post", "/v1/vector_stores/{store_id}/files"),
    ("get", "/v1/vector_stores/{store_id}/files"),
    ("get", "/v1/vector_stores/{store_id}/files/{file_id}"),
    ("post", "/v1/vector_stores/{store_id}/files/{file_id}"),
    ("delete", "/v1/vector_stores/{store_id}/files/{file_id}"),
    ("get", "/v1/vector_stores/{store_id}/files/{file_id}/content"),
    ("post", "/v1/vector_stores/{store_id}/file_batches"),
    ("get", "/v1/vector_stores/{store_id}/file_batches/{batch_id}"),
    ("post", "/v1/vector_stores/{store_id}/file_batches/{batch_id}/cancel"),
    ("get", "/v1/vector_stores/{store_id}/file_batches/{batch_id}/files"),
}
WITH_BODY = ["/query", "/search", "/documents", "/collections"]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    app: FastAPI = create_app(load_settings())
    return app.openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of the document but examples."""
    if isinstance(value, dict):
        yield value
        value = [part for name, part in value.items() if name not in ("example", "examples")]
    for part in value if isinstance(value, list) else ():
        yield from nodes(part)


def test_it_names_the_version_of_the_api(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert document["info"]["version"] == ragstone.__version__


def test_every_route_is_there_and_no_other(document: dict[str, Any]) -> None:
    assert {(method, path) for method, path, _ in operations(document)} == ROUTES


def test_every_operation_says_what_it_is(document: dict[str, Any]) -> None:
    for _, path, operation in operations(document):
        assert operation["summary"], path
        assert operation["description"], path
        assert operation["tags"], path
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))


ERROR = {"$ref": "#/components/schemas/ErrorReply"}
ITEMS = {"$ref": "#/components/schemas/UploadManyReply"}


def test_every_error_has_the_one_shape(document: dict[str, Any]) -> None:
    """Or that of many files, which have an error each; under `/v1` it is OpenAI's."""
    for method, path, operation in operations(document):
        error = {"$ref": "#/components/schemas/OpenAIErrorReply"} if path.startswith("/v1/") else ERROR
        shapes = [error, {"anyOf": [error, ITEMS]}] if (method, path) == ("post", "/documents") else [error]
        for status, response in operation["responses"].items():
            if status >= "400" and path != "/health/ready":
                assert response["content"]["application/json"]["schema"] in shapes, (path, status)


def test_every_operation_but_health_lists_its_errors(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        if path.startswith(("/health", "/metrics")):
            continue
        expected = {"403", "422", "503"}
        expected |= {"400", "413", "415"} if method == "post" and path in WITH_BODY else set()
        expected |= {"404"} if "{" in path else set()
        assert expected <= operation["responses"].keys(), (method, path)


def test_every_operation_says_whether_it_needs_a_key(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        is_open = path.startswith("/health")
        assert bool(operation["security"]) is not is_open, (method, path)
        assert ("401" in operation["responses"]) is not is_open, (method, path)
    named = {name for need in document["paths"]["/query"]["post"]["security"] for name in need}
    assert named == document["components"]["securitySchemes"].keys()


def test_every_reply_has_a_model(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        success, *_ = [status for status in operation["responses"] if status < "300"]
        content = operation["responses"][success]["content"]
        if path.endswith("/events"):
            assert content["text/event-stream"]["schema"], (method, path)
            continue
        if path.endswith(("/content", "/text", "/metrics")):
            continue
        assert content["application/json"]["schema"], (method, path)


def test_the_events_of_a_stream_are_described(document: dict[str, Any]) -> None:
    content = document["paths"]["/query"]["post"]["responses"]["200"]["content"]

    events = {
        choice["properties"]["event"]["const"]: choice["properties"]["data"]["contentSchema"]["$ref"]
        for choice in content["text/event-stream"]["schema"]["oneOf"]
    }
    assert events == {name: f"#/components/schemas/{event.__name__}" for name, event in STREAM_EVENTS.items()}


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    references = {node["$ref"] for node in nodes(document) if isinstance(node.get("$ref"), str)}

    assert references
    assert all(reference.removeprefix("#/components/schemas/") in schemas for reference in references)


def test_every_schema_is_referred_to(document: dict[str, Any]) -> None:
    references = {node["$ref"] for node in nodes(document) if isinstance(node.get("$ref"), str)}

    assert {f"#/components/schemas/{name}" for name in document["components"]["schemas"]} == references


def test_every_request_body_has_an_example(document: dict[str, Any]) -> None:
    for name in ("QueryRequest", "SearchRequest", "CollectionRequest", "TextUpload", "DocumentPatchModel"):
        assert document["components"]["schemas"][name]["examples"], name


def test_examples_of_requests_are_valid(document: dict[str, Any]) -> None:
    from ragstone.api.schemas.documents import CollectionRequest, DocumentPatchModel, TextUpload
    from ragstone.api.schemas.query import FILTER_EXAMPLE, QueryRequest, SearchRequest
    from ragstone.core.filters import parse_filter

    for model in (QueryRequest, SearchRequest, CollectionRequest, TextUpload, DocumentPatchModel):
        for example in document["components"]["schemas"][model.__name__]["examples"]:
            model.model_validate(example)
    parse_filter(FILTER_EXAMPLE)


def test_the_upload_takes_a_form_or_json(document: dict[str, Any]) -> None:
    content = document["paths"]["/documents"]["post"]["requestBody"]["content"]

    form = content["multipart/form-data"]["schema"]["properties"]
    assert {"file", "files", "collection", "title", "source", "metadata", "on_duplicate"} == set(form)
    assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/TextUpload"}


def test_nothing_of_pythons_own_error_shape_is_left(document: dict[str, Any]) -> None:
    assert not {"HTTPValidationError", "ValidationError"} & set(document["components"]["schemas"])


def test_types_are_those_of_json_schema(document: dict[str, Any]) -> None:
    known = {"object", "array", "string", "integer", "number", "boolean", "null"}
    types = {
        node["type"] for node in nodes(document["components"]["schemas"]) if isinstance(node.get("type"), str)
    }

    assert types <= known


async def test_it_is_served(client: Any, document: dict[str, Any]) -> None:
    assert (await client.get("/openapi.json")).json() == document
