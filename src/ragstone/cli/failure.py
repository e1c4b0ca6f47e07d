"""How a command says that it failed."""


class CommandFailed(Exception):
    """One sentence for the user; the command exits 1."""

    exit_status = 1

    def __init__(self, message: str):
        super().__init__(message)
        self.message = message


class WrongUsage(CommandFailed):
    """What the command was given cannot be used; it exits 2, as for an unknown option, before it does anything."""

    exit_status = 2


class ServerSilent(CommandFailed):
    """Nothing came back, or nothing that could be a reply of the API."""


class Refused(CommandFailed):
    """The API's own error. `retry_after_s` where it said when to try again."""

    def __init__(self, code: str, problem: str, *, status: int, retry_after_s: float | None = None):
        super().__init__(f"{code}: {problem}")
        self.code = code
        self.problem = problem
        self.status = status
        self.retry_after_s = retry_after_s
