"""What other systems lack or do otherwise, emulated here: Windows consoles, files, paths and names."""

from __future__ import annotations

import io
import json
import ntpath
import os
import socket
import sys
from pathlib import Path

import pytest
import typer

from residua import _files
from residua._files import write_text
from residua.cli import app, main
from residua.engines.file_engines import free_threads
from residua.errors import OutputError
from residua.images.sources.walking import leads_out
from residua.runs.machine import describe_machine, load
from residua.runs.tables.maps import _file_names
from residua.server.run import _bind
from residua.training.loop.settings import is_busy

COMMANDS = sorted(typer.main.get_command(app).commands)


@pytest.fixture(params=["cp1252", "ascii"])
def console(request, monkeypatch):
    """Runs a command with standard output and error in another encoding, as Windows has them."""

    def run(*arguments: str) -> tuple[int, str]:
        streams = [io.TextIOWrapper(io.BytesIO(), encoding=request.param) for _ in range(2)]
        monkeypatch.setattr(sys, "stdout", streams[0])
        monkeypatch.setattr(sys, "stderr", streams[1])
        try:
            main([*arguments])
            code = 0
        except SystemExit as ended:
            code = ended.code or 0
        for stream in streams:
            stream.flush()
        return code, "".join(one.buffer.getvalue().decode(request.param) for one in streams)

    return run


def test_every_command_explains_itself_on_a_console_without_unicode(console):
    for command in COMMANDS:
        code, said = console(command, "--help")
        assert (code, f"Usage: residua {command}" in said) == (0, True), said


def test_results_and_errors_are_told_on_a_console_without_unicode(console, tmp_path):
    scores, labels = tmp_path / "scores.csv", tmp_path / "labels.csv"
    scores.write_text("score\n1\n2\n3\n4\n2.5\n3.5\n", encoding="utf-8")
    labels.write_text("label\ngut\ngut\ngut\n部品\ngut\n部品\n", encoding="utf-8")
    judge = ("judge", "--scores", str(scores), "--labels", str(labels), "--normal", "gut")
    code, said = console(*judge)
    assert code == 0, said
    assert "-> " in said  # an arrow elsewhere
    for asked in (("recipes",), ("plan", "--policy", "recall>=0.99"), ("info", "digits")):
        code, said = console(*asked)
        assert (code, bool(said)) == (0, True), said
    code, said = console("info", str(tmp_path / "部品"))
    assert code == 2
    assert r"\u90e8\u54c1" in said


def test_json_stays_json_on_a_console_without_unicode(console, tmp_path):
    (tmp_path / "y.csv").write_text("label\n部\n品\n部\n品\n", encoding="utf-8")
    (tmp_path / "p.csv").write_text("p\n部\n品\n部\n部\n", encoding="utf-8")
    found = ("--labels", str(tmp_path / "y.csv"), "--predictions", str(tmp_path / "p.csv"))
    code, said = console("judge", *found, "--json", "-")
    assert code == 0, said
    assert "品" in str(json.loads(said[said.index("{") :]))


@pytest.mark.parametrize("name", ["getloadavg", "sched_getaffinity", "sysconf"])
def test_a_system_that_does_not_tell_its_load_or_memory(monkeypatch, name):
    monkeypatch.delattr(os, name)
    assert is_busy() in (True, False)
    assert free_threads() >= 1
    assert describe_machine()["cores"] >= 1
    if name == "getloadavg":
        assert (is_busy(), load()) == (False, None)


def test_a_file_that_somebody_reads_is_replaced_once_they_have_done(monkeypatch, tmp_path):
    refused = []

    def replace(self, target):
        if len(refused) < 2:
            refused.append(target)
            raise PermissionError(13, "being used by another process")
        return self.rename(target)

    monkeypatch.setattr(_files, "_LOCKS", False)
    monkeypatch.setattr(_files, "_WAITS_FOR_READERS", (0, 0))
    monkeypatch.setattr(Path, "replace", replace)
    write_text(tmp_path / "a.txt", "whole")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "whole"
    refused[:] = []
    monkeypatch.setattr(_files, "_WAITS_FOR_READERS", (0,))
    with pytest.raises(OutputError, match=r"b\.txt: the file must be writable.*another process"):
        write_text(tmp_path / "b.txt", "whole")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.txt"]


def test_another_drive_lies_outside_a_folder(monkeypatch):
    monkeypatch.setattr(os.path, "commonpath", ntpath.commonpath)
    assert leads_out(r"D:\secret\a.png", r"C:\parts")
    assert leads_out(r"C:\other\a.png", r"C:\parts")
    assert not leads_out(r"C:\parts\good\a.png", r"C:\parts")


def test_a_port_is_ours_alone_where_the_system_can_say_so(monkeypatch):
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_KEEPALIVE, raising=False)
    with _bind("127.0.0.1", 0) as listening:
        assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert not listening.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)


def test_names_that_windows_keeps_or_cannot_tell_apart_are_not_written():
    long = "x" * 300 + ".png"
    names = _file_names(["aux.png", "CON", "com1.tif", "console.png", "a.png", "A.png", long])
    assert names == [
        "_aux.png",
        "_CON",
        "_com1.tif",
        "console.png",
        "a.png",
        "A.png-5",
        long[-180:],
    ]
