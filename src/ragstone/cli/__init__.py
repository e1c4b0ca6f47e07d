"""The `ragstone` command. Importing this loads no encoder, no store and no vendor library."""

from ragstone.cli.commands import main

__all__ = ["main"]
