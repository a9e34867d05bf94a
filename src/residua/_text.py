"""Text from outside, shown.

Names of files, classes and groups must not speak to a terminal or a spreadsheet.
"""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

# Control characters (C0, DEL, C1), what ends a line elsewhere, and what turns the direction of
# writing round.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_UNSEEN_IN_LINES = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
# A spreadsheet takes a cell that begins so for a formula.
_FORMULA = re.compile(r"\s*[=+\-@\t\r]")
# What consoles without Unicode show instead of our own signs.
_PLAIN = {
    "→": "->", "–": "-", "—": "-", "…": "...", "·": ".", "×": "x", "±": "+-", "≤": "<=", "≥": ">=",
    "━": "-", "╸": "-", "╺": "-", "─": "-", "│": "|", "•": "*",
}  # fmt: skip
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def printable(text: str, *, lines: bool = False) -> str:
    r"""`text` with control characters spelled out; with `lines`, line breaks stay.

    >>> printable("part\x1b]0;title\x07.png\n")
    'part\\x1b]0;title\\x07.png\\n'
    """
    pattern = _UNSEEN_IN_LINES if lines else _UNSEEN
    return pattern.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def few(names: Iterable[Any], most: int = 5) -> str:
    """The first names and, where there are more, three dots.

    >>> few(["a", "b", "c"], 2)
    'a, b, ...'
    """
    first = [str(name) for name, _ in zip(names, range(most + 1), strict=False)]
    return ", ".join(first[:most]) + (", ..." if len(first) > most else "")


def count(n: int, noun: str) -> str:
    """``1 image``, ``1,200 images``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(42.3), duration(150), duration(7260)
    ('42 s', '2 min 30 s', '2 h 1 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def of_groups(n_groups: int | None) -> str:
    """What follows a number of images that were sampled in groups: `` of 40 groups``.

    >>> f"200 images{of_groups(40)}", f"200 images{of_groups(None)}"
    ('200 images of 40 groups', '200 images')
    """
    return "" if n_groups is None else f" of {count(n_groups, 'group')}"


_USER = re.compile(r"(\w://)[^/\s\"@]+@")
_SIGNED = re.compile(
    r"(://[^\s\"?]+)\?[^\s\"]*(?:sig|token|key|secret|password|credential)[^\s\"]*", re.IGNORECASE
)


def without_secrets(text: str) -> str:
    """`text` without the user and the signed query of an address in it.

    >>> without_secrets("https://me:pass@host/a.tar?X-Sig=abc and s3://bucket/b")
    'https://***@host/a.tar?*** and s3://bucket/b'
    """
    return _SIGNED.sub(r"\1?***", _USER.sub(r"\1***@", text))


def first_sentence(text: str) -> tuple[str, str]:
    """`text` cut after its first sentence: what is said loud, and what after it.

    >>> first_sentence("ROC AUC is 0.3. Scores seem reversed.")
    ('ROC AUC is 0.3.', ' Scores seem reversed.')
    """
    end = re.search(r"(?<=[.!?])(?=\s+[A-Z])", text)
    return (text[: end.start()], text[end.start() :]) if end else (text, "")


def cell(text: str) -> str:
    """`text` as a cell that no spreadsheet takes for a formula, with an apostrophe if need be.

    >>> cell("=1+2"), cell("-0.5"), cell("-crack"), cell("a=b")
    ("'=1+2", '-0.5', "'-crack", 'a=b')
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def terminal(**options: Any) -> Console:
    """A console that reads no markup, and spells out control characters of others."""
    from rich.console import Console, ConsoleOptions
    from rich.segment import Segment

    class Printable(Console):
        def render(
            self, renderable: Any, options: ConsoleOptions | None = None
        ) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                text, style, control = segment
                yield segment if control else Segment(printable(text, lines=True), style)

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # the command ends as programs do whose reader is gone

    return Printable(**{"highlight": False, "markup": False, **options})


def speak_every_encoding() -> None:
    r"""Let standard output and error take every character, in any encoding.

    Windows and old locales have encodings such as cp1252 or ASCII, where the first arrow would end
    a command. Signs of ours become plain ones, and other characters are spelled as ``\u65e5``.
    """
    codecs.register_error("residua-plain", _as_plain)
    for stream in (sys.stdout, sys.stderr):
        if not speaks_unicode(stream) and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="residua-plain")


def speaks_unicode(stream: Any) -> bool:
    """Whether a stream can encode every character.

    >>> import io
    >>> [speaks_unicode(io.TextIOWrapper(io.BytesIO(), name)) for name in ("utf-8", "cp1252")]
    [True, False]
    """
    return (getattr(stream, "encoding", None) or "utf-8").lower().startswith(("utf", "cp65001"))


def _as_plain(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    unknown = error.object[error.start : error.end]
    plain = [_PLAIN.get(one) or one.encode("ascii", "backslashreplace").decode() for one in unknown]
    return "".join(plain), error.end


def say(text: str, *, err: bool = False) -> None:
    """Print a line that may hold names from outside."""
    print(printable(text, lines=True), file=sys.stderr if err else sys.stdout, flush=True)
