"""The table of parameters is complete: nothing that OpenAI publishes is passed over in silence."""

import importlib
from typing import get_type_hints

import pytest

from ragstone.api.openai.parameters import ALL, Parameters
from ragstone.core.errors import UnsupportedParameter

SDK_ONLY = {"extra_headers", "extra_query", "extra_body", "timeout"}
OWN = {"ragstone"}


def published(parameters: Parameters) -> set[str]:
    """Names of the parameters in the official SDK's types."""
    module, _, name = parameters.sdk_type.partition(":")
    return set(get_type_hints(getattr(importlib.import_module(module), name)))


@pytest.mark.parametrize("parameters", ALL, ids=lambda each: each.operation)
def test_every_published_parameter_is_honoured_ignored_or_refused(parameters: Parameters) -> None:
    said = [*parameters.honoured, *parameters.ignored, *parameters.refused]

    assert len(set(said)) == len(said)
    assert set(said) - OWN == published(parameters) - SDK_ONLY


@pytest.mark.parametrize("parameters", ALL, ids=lambda each: each.operation)
def test_a_refused_one_is_refused_unless_it_says_nothing(parameters: Parameters) -> None:
    for name, harmless in parameters.refused.items():
        with pytest.raises(UnsupportedParameter):
            parameters.kept({name: "something"})
        for value in (*harmless, None):
            assert parameters.kept({name: value}) == {}
