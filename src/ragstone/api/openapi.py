"""What the OpenAPI document says beyond the routes' own words: bodies that are read by hand, keys, refusals of all."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from ragstone.api.errors import error_responses
from ragstone.middleware.auth import KEY_HEADER, OPEN_PATHS
from ragstone.middleware.errors import OPENAI_PREFIX

SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "header": {
        "type": "apiKey",
        "in": "header",
        "name": KEY_HEADER,
        "description": "The same, as a header of its own.",
    },
}
NEEDED: list[dict[str, list[str]]] = [{"bearer": []}, {"header": []}]
OF_ALL = error_responses(401, 403, 503)  # of every path that needs a key


def complete_openapi(app: FastAPI, models: Sequence[type[BaseModel]]) -> None:
    """Let the application's document say all of it."""
    make = app.openapi

    @cache
    def openapi() -> dict[str, Any]:
        document = make()
        _add_schemas(document, models)
        document["components"]["securitySchemes"] = SCHEMES
        for path, operation in _operations(document):
            operation["security"] = [] if path in OPEN_PATHS else NEEDED
            if path not in OPEN_PATHS:
                _add_refusals(
                    operation, "OpenAIErrorReply" if path.startswith(OPENAI_PREFIX) else "ErrorReply"
                )
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _add_schemas(document: dict[str, Any], models: Sequence[type[BaseModel]]) -> None:
    for model in models:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        document["components"]["schemas"].setdefault(model.__name__, schema).pop("$defs", None)


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            yield path, operation


def _add_refusals(operation: dict[str, Any], shape: str) -> None:
    for status, reply in OF_ALL.items():
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{shape}"}}}
        operation["responses"].setdefault(
            str(status), {"description": reply["description"], "content": content}
        )
