"""What README and the pages on notebooks show passes a strict type checker, as an editor has it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import ROOT, blocks

PAGES = ("README.md", "docs/notebooks.md", "docs/plots.md")


@pytest.mark.slow
def test_python_blocks_pass_a_strict_type_checker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    api = pytest.importorskip("mypy.api", reason="mypy is not installed")
    monkeypatch.setenv("MYPYPATH", str(ROOT / "src"))
    shown = []
    for name in PAGES:
        shown.append(tmp_path / f"page_{Path(name).stem}.py")
        code = "\n".join(block.text for block in blocks(ROOT / name, "python"))
        shown[-1].write_text(code, encoding="utf-8")
    options = ["--strict", "--config-file", str(ROOT / "pyproject.toml")]
    cache = ["--cache-dir", str(ROOT / ".mypy_cache")]
    said, complaints, code = api.run([*options, *cache, *map(str, shown)])
    assert code == 0, said + complaints
