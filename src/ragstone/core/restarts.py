"""When a process that dies is started again: at once after the first death, then later and later."""

STEADY_AFTER_S = 10.0
FIRST_PAUSE_S = 0.1
MAX_PAUSE_S = 5.0


class RestartPace:
    """Counts the deaths in a row. One that comes after ten seconds of life is a first one again."""

    def __init__(self) -> None:
        self.deaths = 0

    def note_death(self, lived_s: float = 0.0) -> None:
        """A process has died, or could not be started at all."""
        self.deaths = 1 if lived_s > STEADY_AFTER_S else self.deaths + 1

    @property
    def pause_s(self) -> float:
        """How long to wait before the next start."""
        return 0.0 if self.deaths <= 1 else min(MAX_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (self.deaths - 2))
