"""Every example in a docstring runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import numpy as np
import pytest

import residua


def modules_with_examples() -> list[str]:
    """Found in the source, so that collecting the tests does not load torch."""
    root = Path(residua.__path__[0])
    found = []
    for module in pkgutil.walk_packages(residua.__path__, "residua."):
        path = root.joinpath(*module.name.split(".")[1:])
        source = path / "__init__.py" if module.ispkg else path.with_suffix(".py")
        if ">>> " in source.read_text(encoding="utf-8"):
            found.append(module.name)
    return found


@pytest.mark.parametrize("name", modules_with_examples())
def test_docstring_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    n_examples = 0
    for example in doctest.DocTestFinder(exclude_empty=True).find(
        module, extraglobs={"np": np, "residua": residua}
    ):
        n_examples += len(example.examples)
        runner.run(example, out=said.append)
    assert runner.failures == 0, "".join(said)
    assert n_examples > 0, (
        f"{name} has examples that are found by nobody (a docstring after an assignment?)"
    )
