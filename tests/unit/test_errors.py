"""The catalogue of failures."""

import re

import pytest

from ragstone.core.errors import (
    BadEmbedding,
    EngineUnavailable,
    NoText,
    QueueFull,
    RagstoneError,
    StartupError,
    catalogue,
)


def test_every_code_is_snake_case_and_listed_once_in_order() -> None:
    codes = [kind.code for kind in catalogue()]

    assert codes == sorted(set(codes))
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)


def test_every_subclass_of_the_tree_is_reachable_by_its_code() -> None:
    def tree(kind: type[RagstoneError]) -> set[str]:
        return {kind.code}.union(*(tree(child) for child in kind.__subclasses__()))

    assert {kind.code for kind in catalogue()} == tree(RagstoneError)


@pytest.mark.parametrize("kind", catalogue())
def test_every_failure_has_a_meaning_and_an_http_status(kind: type[RagstoneError]) -> None:
    assert kind.__doc__
    assert 400 <= kind.status < 600


@pytest.mark.parametrize("kind", [EngineUnavailable, QueueFull])
def test_failures_that_pass_say_when_to_come_back(kind: type[RagstoneError]) -> None:
    error = kind("later")

    assert error.retryable
    assert error.retry_after_s is not None


def test_a_start_up_failure_is_not_retryable() -> None:
    assert not StartupError("no").retryable


def test_an_ingest_failure_may_name_a_page() -> None:
    assert NoText("blank", page=3).page == 3
    assert BadEmbedding("nan").page is None
