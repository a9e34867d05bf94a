"""How a command ends where its output, its memory or its reader fails: a sentence, the right code,
no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from residua import cli

pytestmark = pytest.mark.skipif(os.name != "posix", reason="devices, limits and signals of POSIX")
RESIDUA = [sys.executable, "-m", "residua"]
PLAN = ["plan", "--policy", "recall>=0.99"]  # it prints a table, and loads no torch


@pytest.mark.parametrize(
    "command", [PLAN, ["info", "digits"], ["info", "digits", "--json", "-"], ["--help"]]
)
def test_a_full_device_is_told(command):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*RESIDUA, *command], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr.startswith(
        "residua: standard output must take what is printed. Got: No space left on device."
    )
    assert len(done.stderr.splitlines()) == 1


def test_a_reader_that_is_gone_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*RESIDUA, *PLAN], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        ImportError("libopenblas.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_too_little_memory_is_told(monkeypatch, capsys, error):
    def starve(*_, **__):
        raise error

    monkeypatch.setattr(cli, "app", starve)
    with pytest.raises(SystemExit) as ended:
        cli.main(["info", "digits"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("residua: there must be memory enough. There is not.")


@pytest.mark.parametrize("wait", [0.05, 0.2, 0.6])
def test_ctrl_c_in_the_first_moments_shows_no_traceback(wait):
    process = subprocess.Popen(
        [*RESIDUA, "info", "digits"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    time.sleep(wait)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    if wait > 0.3:  # before, on a busy machine, the interpreter itself is still starting
        assert "Traceback" not in told
    assert process.returncode in (0, 130, -signal.SIGINT, 1)


def test_sigterm_ends_with_a_sentence_and_143():
    code = (
        "import os, signal, sys\n"
        "from residua import cli\n"
        "def stop(**_):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    raise AssertionError('not reached')\n"
        "cli.app.command('stop')(lambda: stop())\n"
        "cli.main(['stop'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 143
    assert done.stderr.startswith("residua: terminated. A fit that had begun goes on")
