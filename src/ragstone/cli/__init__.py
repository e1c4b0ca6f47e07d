"""The `ragstone` command. Importing this loads no encoder, no store and no vendor library."""

import sys

CLIENT_ONLY = "ragstone: only the client is installed, and this command needs the server: pip install 'ragstone[server]'"


def main() -> None:
    """Run a command. Where only the client is installed there is none to run."""
    try:
        from ragstone.cli.commands import main as run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("ragstone"):
            raise
        sys.exit(CLIENT_ONLY)
    run()


__all__ = ["main"]
