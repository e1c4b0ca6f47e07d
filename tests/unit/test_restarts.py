"""How long a process that died waits for its next start."""

from ragstone.core.restarts import MAX_PAUSE_S, STEADY_AFTER_S, RestartPace


def pauses(*lives_s: float) -> list[float]:
    """The pause after each death."""
    pace, found = RestartPace(), []
    for lived_s in lives_s:
        pace.note_death(lived_s)
        found.append(pace.pause_s)
    return found


def test_at_once_after_the_first_death_then_twice_as_late_each_time() -> None:
    assert pauses(1.0, 1.0, 1.0, 0.0) == [0.0, 0.1, 0.2, 0.4]


def test_no_pause_is_longer_than_the_longest() -> None:
    assert pauses(*[0.0] * 50)[-1] == MAX_PAUSE_S


def test_a_process_that_has_lived_for_long_dies_as_for_the_first_time() -> None:
    assert pauses(1.0, 1.0, STEADY_AFTER_S + 1.0, 1.0) == [0.0, 0.1, 0.0, 0.1]
