"""How a command ends where its output, its memory or its reader fails: a sentence, the right code, no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="devices, limits and signals of POSIX")
RESIDUA = [sys.executable, "-m", "residua"]


@pytest.mark.parametrize("command", [["recipes"], ["info", "digits"], ["info", "digits", "--json", "-"], ["--help"]])
def test_a_full_device_is_told(command):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*RESIDUA, *command], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("residua: standard output must take what is printed. Got: No space left on device.")
    assert len(done.stderr.splitlines()) == 1


def test_a_reader_that_is_gone_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*RESIDUA, "recipes"], stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_too_little_memory_is_told():
    limited = ["bash", "-c", 'ulimit -v 400000; exec "$@"', "bash", *RESIDUA, "info", "digits"]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(limited, capture_output=True, text=True, check=False, env=env, timeout=60)
    if done.returncode == 0:
        pytest.skip("this machine needs less than 400 MB")
    assert done.returncode == 2
    assert "there must be memory enough" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("wait", [0.05, 0.2, 0.4])
def test_ctrl_c_in_the_first_moments_shows_no_traceback(wait):
    process = subprocess.Popen([*RESIDUA, "info", "digits"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(wait)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    if wait > 0.1:  # before, the interpreter itself is still starting
        assert "Traceback" not in told
    assert process.returncode in (0, 130, -signal.SIGINT, 1)
