"""``python -m residua`` is the command `residua`."""

from residua.cli import main

main()
