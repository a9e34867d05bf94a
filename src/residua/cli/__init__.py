"""The `residua` command: a file a command. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from residua._threads import wait_passively
from residua.cli.benchmark import benchmark
from residua.cli.check import check
from residua.cli.compare import compare
from residua.cli.demo import demo
from residua.cli.engines import engines
from residua.cli.evaluate import evaluate
from residua.cli.export import export
from residua.cli.fit import fit
from residua.cli.info import info
from residua.cli.judge import judge
from residua.cli.plan import plan
from residua.cli.probe import probe
from residua.cli.recipes import recipes
from residua.cli.report import report
from residua.cli.score import score
from residua.cli.serve import serve
from residua.cli.threshold import threshold
from residua.cli.verify import verify
from residua.errors import GateError, InputError, MissingExtraError, OutputError, ResiduaError

app = typer.Typer(
    name="residua",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_USER_ERRORS = (InputError, OutputError, MissingExtraError)
_TRAINING_PACKAGES = ("torch", "lightning", "safetensors", "filelock")
_OURS, _USERS, _GATE, _INTERRUPTED = 1, 2, 3, 130

for _command in (
    demo, check, fit, evaluate, score, threshold, report, verify, info, recipes, benchmark, compare, probe, judge, plan,
    export, engines, serve,
):  # fmt: skip
    app.command()(_command)


def _print_version(wanted: bool) -> None:
    if wanted:
        import residua

        typer.echo(f"residua {residua.__version__}")
        raise typer.Exit


@app.callback()
def residua_command(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True)] = False,
) -> None:
    """Train image autoencoders and say, honestly, how good they are.

    Start with `residua demo`, then `residua fit FOLDER --normal good --out runs/first`.
    """


def _show_failed_checks() -> None:
    """A check that fails is told as a finding; its traceback goes to the log, which nobody else writes to."""
    import logging

    log = logging.getLogger("residua")
    log.setLevel(logging.DEBUG)
    log.addHandler(logging.StreamHandler())


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; ends the process with 0, 1 (our fault), 2 (the user's mistake) or 3 (a gate said no)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    if debug:
        _show_failed_checks()
    wait_passively()
    try:
        app(args=arguments, prog_name="residua")
    except SystemExit as leaving:  # the command line turns Ctrl-C into an exit without a word
        if leaving.code == _INTERRUPTED:
            typer.echo("residua: interrupted. A fit that had begun goes on with the same command and --resume.", err=True)
        raise
    except ResiduaError as error:
        if debug:
            raise
        typer.echo(f"residua: {error}" if "\n" not in str(error) else f"residua:\n{error}", err=True)
        sys.exit(_GATE if isinstance(error, GateError) else _USERS if isinstance(error, _USER_ERRORS) else _OURS)
    except ModuleNotFoundError as error:
        if debug or error.name not in _TRAINING_PACKAGES:
            raise
        typer.echo(f"residua: {MissingExtraError(error.name, 'train', 'this command')}", err=True)
        sys.exit(_USERS)
    except Exception as error:
        if debug:
            raise
        typer.echo(
            f"residua: something went wrong that should not: {type(error).__name__}: {error}. Run again with --debug.", err=True
        )
        sys.exit(_OURS)
