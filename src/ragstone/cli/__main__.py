"""`python -m ragstone.cli`."""

from ragstone.cli import main

main()
