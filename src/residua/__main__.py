"""``python -m residua`` and the command `residua`.

Ctrl-C is heard from the first moment, while modules are still loading.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    try:
        from residua.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("residua: interrupted.\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
