"""How a command says that it failed. What a server answers fails as the client's CallFailed."""


class CommandFailed(Exception):
    """One sentence for the user; the command exits 1."""

    exit_status = 1

    def __init__(self, message: str):
        super().__init__(message)
        self.message = message


class WrongUsage(CommandFailed):
    """What the command was given cannot be used; it exits 2, as for an unknown option, before it does anything."""

    exit_status = 2
