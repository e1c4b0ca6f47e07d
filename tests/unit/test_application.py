"""The application as `uvicorn ragstone.api.main:app` finds it: made on first access, opened by its lifespan."""

import gc
import logging
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from ragstone import bootstrap, vector_opening
from ragstone.api import main
from ragstone.config.settings import load_settings
from ragstone.storage.data_directory import owner_of


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setitem(vector_opening.EMBEDDERS, "minilm", "tests.unit.test_cli:hashing")
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    gc.unfreeze()
    root.handlers[:], root.level = handlers, level
    logging.getLogger("uvicorn.access").disabled = False
    vars(main).pop("app", None)


async def test_its_lifespan_opens_the_data_directory_and_lets_it_go(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    app = main.create_app(load_settings(data_dir=data_dir))
    assert not data_dir.exists()

    async with app.router.lifespan_context(app):
        assert owner_of(data_dir) is not None
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
            assert (await http.get("/health/ready")).status_code == 200

    assert owner_of(data_dir) is None


async def test_over_a_running_container_its_lifespan_opens_nothing(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path / "data")
    async with bootstrap.build_container(settings) as container:
        app = main.create_app(settings, container)
        async with app.router.lifespan_context(app):
            assert app.state.container is container


def test_it_is_made_on_first_access_and_kept() -> None:
    assert "app" not in vars(main)

    assert isinstance(main.app, FastAPI)
    assert main.app is main.app


def test_another_name_is_not_there() -> None:
    with pytest.raises(AttributeError):
        main.application  # noqa: B018 - the access itself
