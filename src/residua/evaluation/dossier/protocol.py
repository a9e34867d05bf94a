"""What a run keeps of the order of its steps: criteria that were accepted, and each time that
images were judged. Both are chains: every record holds the checksum of what stood before it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from residua._files import checksum
from residua.images.hashing import PIXELS
from residua.records import Record

Digest = bytes


class TestedEntry(Record):
    """One evaluation: of which images, by which model at which threshold, after which acceptance.

    ``pixels`` are the packed hashes of those of its images that no earlier entry judged;
    ``fingerprint`` is of all of them. ``acceptance`` is the checksum of the criteria in force,
    ``evaluation`` that of the record that was made, and ``previous`` that of the entry before.
    ``date`` is told and not relied on.
    """

    __test__ = False

    n_images: int
    n_new: int
    fingerprint: str
    pixels: str
    weights: str
    threshold: float | None
    engine: str
    judged_on: str = ""
    acceptance: str | None = None
    evaluation: str = ""
    date: str = ""
    previous: str | None = None

    @property
    def mark(self) -> str:
        """The checksum of the entry."""
        return checksum(self.model_dump(mode="json"))


class Acceptance(Record):
    """One version of the criteria of a run, word for word, with the images that they are for.

    ``source`` is None for the run's own test part. ``replaces`` is the checksum of the version
    before, and ``tested`` that of the last evaluation at that time. ``date`` and ``by`` are told
    and not relied on.
    """

    version: int
    text: str
    sha256: str
    source: str | None = None
    n_images: int
    fingerprint: str
    weights: str
    replaces: str | None = None
    tested: str | None = None
    date: str = ""
    by: str = ""

    @property
    def mark(self) -> str:
        """The checksum of the version."""
        return checksum(self.model_dump(mode="json"))


def text_hash(text: str) -> str:
    """SHA-256, in hex, of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def packed_digests(hashes: Iterable[str]) -> str:
    """Pixel hashes in hex, packed in their order.

    >>> unpacked_digests(packed_digests(["00" * 16, "ff" * 16]))[1] == bytes([255] * 16)
    True
    """
    return base64.b64encode(b"".join(bytes.fromhex(one) for one in hashes)).decode("ascii")


def unpacked_digests(packed: str) -> list[Digest]:
    """What `packed_digests` packed; `ValueError` where it is something else."""
    try:
        raw = base64.b64decode(packed, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    if len(raw) % PIXELS:
        raise ValueError("hashes that are cut off")
    return [raw[start : start + PIXELS] for start in range(0, len(raw), PIXELS)]


def rows_of(digests: Sequence[Digest]) -> NDArray[np.uint8]:
    """Digests as `residua.images.hashing.fingerprint` takes them, uint8 (n, bytes)."""
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, PIXELS)


def is_chained(entries: Sequence[TestedEntry]) -> bool:
    """Whether each entry holds the checksum of the one before it."""
    told = [one.previous for one in entries]
    return told == [None, *(one.mark for one in entries)][: len(told)]


def are_chained(versions: Sequence[Acceptance]) -> bool:
    """Whether each version holds the checksum of the one that it replaces."""
    told = [one.replaces for one in versions]
    return told == [None, *(one.mark for one in versions)][: len(told)]


def looks_at(entries: Sequence[TestedEntry], images: Iterable[Digest]) -> list[TestedEntry]:
    """The entries that judged some of `images` first, or all of them once more."""
    wanted = set(images)
    found, again = [], set()
    for entry in entries:
        if wanted & set(unpacked_digests(entry.pixels)):
            found.append(entry)
            again.add(entry.fingerprint)
        elif entry.fingerprint in again:
            found.append(entry)
    return found
