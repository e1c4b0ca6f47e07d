"""The API's reference as one plain page, made from the OpenAPI document: no script, no style sheet from elsewhere."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; } pre { overflow-x: auto; padding: .5rem; }
pre, summary { background: color-mix(in srgb, currentColor 8%, transparent); } :root { color-scheme: light dark; }
"""


def render_reference(document: Mapping[str, Any]) -> str:
    """The page, from the parsed OpenAPI document."""
    info = document["info"]
    operations = [
        line
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        for line in _operation(method.upper(), path, operation)
    ]
    schemas = [
        f'<details id="{escape(name)}"><summary>{escape(name)}</summary>{_json(schema)}</details>'
        for name, schema in sorted(document["components"]["schemas"].items())
    ]
    title = escape(f"{info['title']} {info['version']}")
    body = [
        f"<h1>{title}</h1>",
        f"<p>{escape(info['description'])}</p>",
        *operations,
        "<h2>Schemas</h2>",
        *schemas,
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(body)}"
        '<p>As data: <a href="/openapi.json">/openapi.json</a></p></body></html>'
    )


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"<h2><code>{method} {escape(path)}</code></h2>"
    yield f"<p>{escape(operation.get('description') or operation['summary'])}</p>"
    parameters = [_parameter(parameter) for parameter in operation.get("parameters", ())]
    if parameters:
        yield f"<h3>Parameters</h3><ul>{''.join(parameters)}</ul>"
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"<h3>Body: {escape(media_type)}</h3>{_schema(content['schema'])}"
    yield f"<h3>Replies</h3><ul>{''.join(_reply(*each) for each in operation['responses'].items())}</ul>"


def _parameter(parameter: Mapping[str, Any]) -> str:
    required = ", required" if parameter.get("required") else ""
    described = escape(parameter.get("description", ""))
    return f"<li><code>{escape(parameter['name'])}</code> ({parameter['in']}{required}) {described}</li>"


def _reply(status: str, reply: Mapping[str, Any]) -> str:
    schemas = [content.get("schema", {}) for content in reply.get("content", {}).values()]
    return f"<li>{escape(status)}: {escape(reply['description'])} {' '.join(map(_schema, schemas))}</li>"


def _schema(schema: Mapping[str, Any]) -> str:
    """A link to a named schema; anything else in full."""
    if "$ref" not in schema:
        return _json(schema) if schema else ""
    name = escape(schema["$ref"].rsplit("/", 1)[-1])
    return f'<a href="#{name}">{name}</a>'


def _json(value: object) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2, ensure_ascii=False))}</pre>"
