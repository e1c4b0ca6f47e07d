"""Random lives of the whole service are as a plain model says; `make states` runs many more."""

import pytest

from tests.hostile.states import run_lives


@pytest.mark.slow
def test_random_lives_are_as_the_model_says() -> None:
    run_lives(20, seeded=True)
