"""What `import residua` promises: `__all__` is what imports, everything is documented, and no torch
is needed to judge."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
import textwrap

import pytest

import residua

ROOMS = sorted(
    module.name
    for module in pkgutil.iter_modules(residua.__path__)
    if not module.name.startswith("_")
)
CLASSES_AND_FUNCTIONS = [name for name in residua.__all__ if name != "__version__"]


def test_the_face_lists_exactly_what_can_be_imported_from_it():
    assert list(residua.__all__) == sorted(residua.__all__)
    assert len(set(residua.__all__)) == len(residua.__all__)
    assert [name for name in residua.__all__ if getattr(residua, name, None) is None] == []
    assert dir(residua) == sorted(residua.__all__)


def test_the_type_checker_sees_the_same_names_as_the_interpreter():
    """The names under TYPE_CHECKING are what editors complete; they must not drift from what is
    loaded lazily."""
    source = inspect.getsource(residua)
    seen = {
        alias.name
        for block in ast.walk(ast.parse(source))
        if isinstance(block, ast.If)
        for line in block.body
        if isinstance(line, ast.ImportFrom)
        for alias in line.names
    }
    assert seen | {"__version__"} == set(residua.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'acuracy'"):
        residua.acuracy  # noqa: B018  looking is the test


@pytest.mark.parametrize("name", CLASSES_AND_FUNCTIONS)
def test_every_public_name_is_documented(name: str):
    value = getattr(residua, name)
    assert value.__doc__
    assert value.__doc__.strip()
    if inspect.isclass(value):
        methods = {
            key: method
            for key, method in vars(value).items()
            if inspect.isfunction(method) and not key.startswith("_")
        }
        assert [
            key for key, method in methods.items() if not inspect.getdoc(getattr(value, key))
        ] == []


@pytest.mark.parametrize("name", ROOMS)
def test_every_room_is_documented_and_its_all_imports(name: str):
    room = importlib.import_module(f"residua.{name}")
    assert room.__doc__
    for public in getattr(room, "__all__", []):
        value = getattr(room, public)
        if inspect.isfunction(value) or inspect.isclass(value):
            assert value.__doc__, f"residua.{name}.{public} says nothing"


def test_every_metric_shows_a_number_that_is_executed():
    functions = {name: getattr(residua.metrics, name) for name in residua.metrics.__all__}
    silent = [
        name
        for name, value in functions.items()
        if inspect.isfunction(value) and ">>>" not in (value.__doc__ or "")
    ]
    assert silent == []


def without_torch(script: str) -> subprocess.CompletedProcess[str]:
    """Run `script` where torch, Lightning and safetensors cannot be imported."""
    block = """
    import sys

    class Absent:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in ("torch", "lightning", "safetensors"):
                raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])

    sys.meta_path.insert(0, Absent())
    """
    code = textwrap.dedent(block) + textwrap.dedent(script)
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )


def test_the_judge_works_where_torch_is_absent():
    done = without_torch("""
    import numpy as np
    import residua

    record = residua.evaluate_detection([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], operating_point=0.3)
    assert record.metrics["roc_auc"].value == 0.75
    images = np.linspace(0, 1, 2 * 16 * 16).reshape(2, 16, 16)
    assert residua.evaluate_reconstruction(images, images).metrics["mse"].value == 0
    assert residua.evaluate_classification([0, 1, 1], [0, 1, 0]).job == "classify"
    assert residua.choose_threshold("quantile:0.5", np.arange(10.0)).threshold > 0
    assert len(residua.load_images("digits")) == 1797
    for name in ("metrics", "thresholds", "baselines", "findings", "errors", "records"):
        getattr(residua, name)
    """)
    assert done.returncode == 0, done.stderr


def test_a_missing_extra_says_the_line_that_mends_it():
    done = without_torch("""
    import residua

    try:
        residua.OneClassDetector
    except ImportError as error:
        print(error)
    """)
    assert "pip install 'residua[train]'" in done.stdout, done.stderr


@pytest.mark.parametrize(
    "arguments", [["--help"], ["fit", "--help"], ["info", "digits"], ["report", "--help"]]
)
def test_the_command_line_works_where_torch_is_absent(arguments: list[str]):
    done = without_torch(f"""
    from residua.cli import main

    main({arguments!r})
    """)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.slow
def test_the_demo_runs_where_torch_is_absent_and_says_how_to_get_the_rest(tmp_path):
    done = without_torch(f"""
    from residua.cli import main

    main(["demo", "--out", {str(tmp_path / "demo")!r}])
    """)
    assert done.returncode == 0, done.stderr
    assert "ROC AUC" in done.stdout
    assert "pip install 'residua[train]'" in done.stdout.replace("\n", " ")
    assert (tmp_path / "demo" / "report.html").stat().st_size > 100_000


def test_a_command_that_trains_says_what_is_missing_and_ends_with_2(tmp_path):
    done = without_torch(f"""
    from residua.cli import main

    main(["fit", "digits", "--normal", "0", "--out", {str(tmp_path / "run")!r}])
    """)
    assert done.returncode == 2, done.stderr
    assert "pip install 'residua[train]'" in done.stderr
    assert "Traceback" not in done.stderr
