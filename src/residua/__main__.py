"""``python -m residua``: the same as the command `residua`."""

from __future__ import annotations

from residua.cli import main

if __name__ == "__main__":
    main()
