"""The `residua` command: a file a command. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
import threading
from types import FrameType
from typing import Annotated, TypeGuard

import typer

from residua._text import say, speak_every_encoding
from residua._threads import wait_passively
from residua.cli.accept import accept
from residua.cli.benchmark import benchmark
from residua.cli.check import check
from residua.cli.compare import compare
from residua.cli.demo import demo
from residua.cli.dossier import dossier
from residua.cli.engines import engines
from residua.cli.evaluate import evaluate
from residua.cli.export import export
from residua.cli.fit import fit
from residua.cli.help_groups import GroupedCommand
from residua.cli.info import info
from residua.cli.judge import judge
from residua.cli.kinds import kinds
from residua.cli.learn import learn
from residua.cli.plan import plan
from residua.cli.probe import probe
from residua.cli.recipes import recipes
from residua.cli.report import report
from residua.cli.score import score
from residua.cli.serve import serve
from residua.cli.threshold import threshold
from residua.cli.verify import verify
from residua.cli.watch import watch
from residua.errors import GateError, InputError, MissingExtraError, OutputError, ResiduaError

app = typer.Typer(
    name="residua",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_USER_ERRORS = (InputError, OutputError, MissingExtraError)
_TRAINING_PACKAGES = ("torch", "lightning", "safetensors", "filelock")
_OURS, _USERS, _GATE, _INTERRUPTED, _READER_GONE, _TERMINATED = 1, 2, 3, 130, 141, 143
_FUNCTION = re.compile(
    r"^(choose_threshold|evaluate_(detection|reconstruction|classification)|load_images"
    r"|plan_difference|threshold_optimism|write_html|write_manifest): ",
    re.MULTILINE,
)
"""Functions that errors name, to be told as the command that somebody typed."""

for _command in (
    demo, check, fit, evaluate, score, threshold, report, verify, info, recipes, benchmark, compare,
    probe, judge, plan,
    export, engines, serve, watch, learn, kinds, accept, dossier,
):  # fmt: skip
    app.command(cls=GroupedCommand)(_command)


def _print_version(wanted: bool) -> None:
    if wanted:
        from residua._version import __version__

        say(f"residua {__version__}")
        raise typer.Exit


@app.callback()
def residua_command(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Train image autoencoders and say, honestly, how good they are.

    Start with `residua demo`, then `residua fit FOLDER --normal good --out runs/first`.
    """


def _show_failed_checks() -> None:
    """A check that fails is told as a finding; its traceback goes to the log of findings."""
    import logging

    log = logging.getLogger("residua.findings")
    log.setLevel(logging.DEBUG)
    log.addHandler(logging.StreamHandler())


def main(arguments: list[str] | None = None) -> None:
    """Run the command line, and end the process.

    The exit code is 0, 1 (our fault), 2 (the user's mistake), 3 (a gate said no), 130 (Ctrl-C) or
    143 (SIGTERM).
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    if debug:
        _show_failed_checks()
    speak_every_encoding()
    wait_passively()
    terminated = _hear_sigterm()
    try:
        _run(arguments, terminated)
    except BrokenPipeError:  # as programs end whose reader is gone, `head` for one
        _forget_output()
        sys.exit(_READER_GONE)
    except Exception as error:
        if debug:
            raise
        told = _FUNCTION.sub(f"{_asked(arguments)}: ", _told(error))
        if _is_of_output(error):
            _forget_output()
        say(f"residua:\n{told}" if "\n" in told else f"residua: {told}", err=True)
        sys.exit(_code_of(error))


def _asked(arguments: list[str]) -> str:
    """The command that was called: what an error of one of its functions names."""
    return next((one for one in arguments if not one.startswith("-")), "residua")


def _hear_sigterm() -> list[int]:
    """Let SIGTERM end a command as Ctrl-C does, with its state kept; the list tells them apart."""
    heard: list[int] = []

    def end(number: int, _: FrameType | None) -> None:
        heard.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end)
    return heard


def _run(arguments: list[str], terminated: list[int]) -> None:
    try:
        app(args=arguments, prog_name="residua")
    except SystemExit as leaving:  # the command line turns Ctrl-C into an exit without a word
        if leaving.code == _INTERRUPTED:
            how = "terminated" if terminated else "interrupted"
            say(
                f"residua: {how}. A fit that had begun goes on with the same command and --resume.",
                err=True,
            )
        _flush()
        if leaving.code == _INTERRUPTED and terminated:
            sys.exit(_TERMINATED)
        raise
    _flush()


def _flush() -> None:
    """Write out what was printed while an error can still be told; later it is a traceback."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError:
        _forget_output()
        raise


def _forget_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _is_of_output(error: Exception) -> TypeGuard[OSError]:
    """Whether a full disk or device refused what was printed: errors of files of ours name them."""
    return (
        isinstance(error, OSError)
        and error.filename is None
        and error.errno in (errno.ENOSPC, errno.EIO, errno.EBADF)
    )


def _told(error: Exception) -> str:
    if isinstance(error, ResiduaError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and error.name in _TRAINING_PACKAGES:
        return str(MissingExtraError(error.name, "train", "this command"))
    if _lacks_memory(error):
        return (
            "there must be memory enough. There is not. Lower --memory or --size, name fewer"
            " images, or raise the limit."
        )
    if _is_of_output(error):
        return (
            f"standard output must take what is printed. Got: {error.strerror}. Send it to another"
            " place."
        )
    if isinstance(error, PermissionError):
        return (
            f"the place must be one that you may read or write. Got {error.filename}:"
            f" {error.strerror}. Name another."
        )
    return (
        f"something went wrong that should not: {type(error).__name__}: {error}. Run again with"
        " --debug."
    )


def _code_of(error: Exception) -> int:
    if isinstance(error, GateError):
        return _GATE
    is_users = (
        isinstance(error, (*_USER_ERRORS, PermissionError))
        or _lacks_memory(error)
        or _is_of_output(error)
    )
    return (
        _USERS
        if is_users or (isinstance(error, ModuleNotFoundError) and error.name in _TRAINING_PACKAGES)
        else _OURS
    )


def _lacks_memory(error: Exception) -> bool:
    """Whether memory ran out, while working or while a library was loaded."""
    words = str(error).lower()
    signs = (
        "cannot allocate memory",
        "failed to map segment",
        "not enough memory",
        "bad_alloc",
        "can't allocate",
        "can't start new thread",
    )
    is_told = isinstance(error, OSError | RuntimeError | ImportError) and any(
        sign in words for sign in signs
    )
    return is_told or isinstance(error, MemoryError)
