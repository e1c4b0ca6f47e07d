"""The page's files: which there are, under which policy they are served, and how much they weigh."""

from importlib import resources

import httpx2
import pytest

from ragstone.api.routes.page import FILES, PATHS, START
from ragstone.bootstrap import Container

MAX_BYTES = 150_000  # all of the page together, as it is sent
FOLDER = resources.files("ragstone.api") / "page"


def test_every_file_is_served_and_no_other() -> None:
    assert {file.name for file in FOLDER.iterdir()} == {START, *FILES}


def test_all_of_it_weighs_little() -> None:
    assert sum(len(file.read_bytes()) for file in FOLDER.iterdir()) <= MAX_BYTES


def test_nothing_in_it_names_another_host_or_makes_elements_from_text() -> None:
    for file in FOLDER.iterdir():
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        found = [
            word
            for word in ("http:", "https:", "innerHTML", "insertAdjacent", "eval(", " style=", "onclick=")
            if word in text
        ]
        assert found == [], file.name


@pytest.mark.parametrize("path", sorted(PATHS))
async def test_each_comes_under_the_policy(
    client: httpx2.AsyncClient, container: Container, path: str
) -> None:
    reply = await client.get(path)

    policy = reply.headers["content-security-policy"]
    assert reply.status_code == 200
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["cache-control"] == "no-cache"
    assert reply.headers["content-type"].endswith("; charset=utf-8")


async def test_what_a_browser_has_already_is_not_sent_again(
    client: httpx2.AsyncClient, container: Container
) -> None:
    tag = (await client.get("/page/main.js")).headers["etag"]

    same = await client.get("/page/main.js", headers={"If-None-Match": f'"other", W/{tag}'})
    other = await client.get("/page/main.js", headers={"If-None-Match": '"other"'})

    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert other.status_code == 200


@pytest.mark.parametrize(
    "path", ["/page/", "/page/../main.py", "/page/..%2fmain.py", "/page/index.html", "/page/%2e%2e/errors.py"]
)
async def test_no_other_path_leads_to_a_file(
    client: httpx2.AsyncClient, container: Container, path: str
) -> None:
    reply = await client.get(path)

    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "route_not_found")
