"""Run every benchmark in turn: ``python benchmarks/run.py [--again]``. What is measured already is
only printed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NOT_BENCHMARKS = {"run.py", "measure.py"}


def main() -> int:
    folder = Path(__file__).parent
    failed = []
    for script in sorted(folder.glob("*.py")):
        if script.name in NOT_BENCHMARKS:
            continue
        print(f"== {script.name}", flush=True)
        if subprocess.run([sys.executable, str(script), *sys.argv[1:]], check=False).returncode:
            failed.append(script.name)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
