"""Good manners on a shared machine: threads that wait asleep. Must run before torch is loaded."""

from __future__ import annotations

import os


def wait_passively() -> None:
    """Ask OpenMP not to spin while it waits, unless the user has asked for something else.

    Two spinning threads beside one busy process on two cores made training six times slower (see
    LOG.md); waiting passively costs a few per cent on an idle machine.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
