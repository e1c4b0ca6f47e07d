"""Where the server needs a key the page asks for it."""

import pytest
import pytest_asyncio

from tests.live import Live
from tests.page.conftest import Serve
from tests.page.visits import Visiting

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEY = "k3y-0123456789abcdef"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def keyed(serve: Serve) -> Live:
    return await serve(api_keys=f"web:{KEY}")


async def test_a_wrong_key_is_refused_and_a_right_one_lasts_as_long_as_the_tab(
    keyed: Live, visit: Visiting
) -> None:
    page = await visit(keyed)
    await page.find("#key-value").fill("wrong")
    await page.find("#key-value").press("Enter")
    await page.find("text=This key is not known to the server.").wait_for()

    await page.find("#key-value").fill(KEY)
    await page.find("text=Continue").click()
    await page.until("document.querySelector('#collection').value === 'default'")
    await page.upload(("note.txt", b"A note."))
    await page.find(".upload.ready").wait_for()

    assert await page.page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    await page.page.reload()
    await page.find(".document >> text=note.txt").wait_for()
    assert not await page.find("#key").is_visible()


async def test_the_key_is_forgotten_on_demand(keyed: Live, visit: Visiting) -> None:
    page = await visit(keyed)
    await page.find("#key-value").fill(KEY)
    await page.find("text=Continue").click()

    await page.find("#forget-key").click()

    await page.find("#key-value").wait_for()
    assert KEY not in await page.page.evaluate("JSON.stringify({...sessionStorage})")


async def test_where_no_key_is_needed_none_is_asked_for(live: Live, visit: Visiting) -> None:
    page = await visit(live)

    assert not await page.find("#key").is_visible()
    assert not await page.find("#forget-key").is_visible()
