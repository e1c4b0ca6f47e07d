"""How a command says that it failed."""


class CommandFailed(Exception):
    """One sentence for the user; the command exits 1. `retry_after_s` where the server said when to try again."""

    def __init__(self, message: str, *, retry_after_s: float | None = None):
        super().__init__(message)
        self.message = message
        self.retry_after_s = retry_after_s
