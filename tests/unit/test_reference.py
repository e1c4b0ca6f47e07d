"""The API's reference page."""

from html.parser import HTMLParser

from ragstone.api.main import create_app
from ragstone.api.reference import HEADERS, render_reference
from ragstone.config.settings import load_settings


class Tags(HTMLParser):
    """What a page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: set[str] = set()
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.links |= {value or "" for name, value in attrs if name in ("href", "src")}
        self.anchors |= {value or "" for name, value in attrs if name == "id"}


def page_and_document() -> tuple[str, dict[str, object]]:
    document = create_app(load_settings()).openapi()
    return render_reference(document), document


def test_every_route_is_on_the_page() -> None:
    page, document = page_and_document()
    paths = document["paths"]
    assert isinstance(paths, dict)

    for path, methods in paths.items():
        for method in methods:
            assert f"{method.upper()} {path}" in page


def test_nothing_runs_and_nothing_is_fetched_from_elsewhere() -> None:
    tags = Tags()
    tags.feed(page_and_document()[0])

    assert not tags.names & {"script", "img", "iframe", "link", "form", "object"}
    assert all(link.startswith(("#", "/")) for link in tags.links)
    assert "default-src 'none'" in HEADERS["Content-Security-Policy"]


def test_links_to_schemas_lead_somewhere() -> None:
    tags = Tags()
    tags.feed(page_and_document()[0])

    assert {link[1:] for link in tags.links if link.startswith("#")} <= tags.anchors


def test_markup_in_descriptions_is_shown_as_it_is() -> None:
    operation = {"summary": "<b>x</b>", "responses": {"200": {"description": "<script>"}}}
    document = {
        "info": {"title": "T", "version": "1", "description": "d"},
        "paths": {"/<p>": {"get": operation}},
        "components": {"schemas": {}},
    }

    page = render_reference(document)

    assert "<b>" not in page
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
