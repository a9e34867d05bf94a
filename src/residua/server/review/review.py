"""A review: the queue of a source's images, and what was said of them."""

from __future__ import annotations

import time as clock
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from shlex import quote
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from residua._text import count
from residua.errors import ImageError
from residua.images.listing import EncodedImages
from residua.records import now
from residua.runs.learning.reviewed import Reviewed
from residua.server.review.book import Answer, Book
from residua.server.review.queue import Queue
from residua.server.review.rates import Rate, defect_rate

View = Literal["open", "second", "disagree", "mine"]
VIEWS: tuple[View, ...] = ("open", "second", "disagree", "mine")
AHEAD = 3  # images that a reviewer is given to look at next
_HELD_SECONDS = 90.0


@dataclass(frozen=True)
class Item:
    """An image of the queue: its row in the table of scores, and why it is asked.

    Of a run with products, `score` is on the scale that all of them have in common.
    """

    id: str
    path: str
    row: int
    score: float
    is_flagged: bool
    why: str
    part: str | None
    product: str | None


@dataclass(frozen=True)
class Table:
    """What the table of scores says of all images; `n_trained` of them trained the model.

    About `n_undecided` nothing is decided, as their product has no threshold; they count as not
    `readable`.
    """

    flagged: NDArray[np.bool_]
    readable: NDArray[np.bool_]
    queue: Queue
    items: tuple[Item, ...]
    n_trained: int
    n_undecided: int = 0


class Review:
    """The state of a review; all of it is asked and changed by one thread at a time."""

    def __init__(
        self,
        book: Book,
        table: Table,
        encoded: EncodedImages,
        reviewed: Reviewed,
        run: str,
        *,
        learns: bool = True,
    ) -> None:
        self.book, self.reviewed, self.items = book, reviewed, table.items
        self.run, self.learns = run, learns
        self._table, self._encoded = table, encoded
        self._places = {item.id: place for place, item in enumerate(table.items)}
        self._held: dict[str, tuple[str, float]] = {}
        self.ceiling: float | None = None
        self._closing = ExitStack()

    def until_closed(self, closing: ExitStack) -> None:
        """What ends with the review."""
        self._closing = closing

    def close(self) -> None:
        """Let others write the folder."""
        self._closing.close()

    def next_step(self) -> str:
        """How much has been said, and the command that learns from it."""
        done = f"{count(len(self.book.answers), 'image')} answered."
        return f"{done} {self.advice}" + (f"\n  {self.command}" if self.command else "")

    @property
    def advice(self) -> str:
        """What becomes of the answers."""
        if self.learns:
            return "Learn from them:"
        return (
            "residua learn takes corrections of runs with one threshold alone: put these labels"
            " into the source of the run, and fit again."
        )

    @property
    def command(self) -> str | None:
        """The command that learns from the answers, with paths as they were named."""
        if not self.learns:
            return None
        run, table, out = map(quote, (self.run, str(self.book.table), f"{self.run.rstrip('/')}-2"))
        return f"residua learn {run} {table} --out {out}"

    def item(self, image: str) -> Item | None:
        """The image of the queue with this id."""
        place = self._places.get(image)
        return None if place is None else self.items[place]

    def read(self, item: Item) -> bytes:
        """The file of an image; `ImageError` where it cannot be read."""
        return read_file_of(self._encoded, self._places[item.id])

    def answer(
        self, item: Item, reviewer: str, answer: str, kind: str | None, note: str | None
    ) -> None:
        """Keep what a reviewer says of an image."""
        self.book.give(
            Answer(
                path=item.path,
                reviewer=reviewer,
                answer=answer,  # type: ignore[arg-type]
                kind=kind if answer == "defect" else None,
                note=note,
                time=now(),
            )
        )
        self._held.pop(item.id, None)

    def undo(self, reviewer: str) -> str | None:
        """Take a reviewer's last answer back: the id of its image; None where there is none."""
        path = self.book.take_back(reviewer, now())
        return next((item.id for item in self.items if item.path == path), None)

    def next_images(self, reviewer: str, view: View, after: str | None = None) -> list[str]:
        """The ids of the images that `reviewer` should see next, in order; at most `AHEAD`.

        With `after` those behind that image in the queue. What another reviewer looks at right now
        comes last.
        """
        free: list[str] = []
        held: list[str] = []
        first = 0 if after is None else self._places.get(after, -1) + 1
        for item in self.items[first:]:
            if self._is_wanted(item, reviewer, view):
                (held if self._is_held(item, reviewer, view) else free).append(item.id)
                if len(free) == AHEAD:
                    break
        found = (free + held)[:AHEAD]
        if view == "open":
            self._held = {id_: one for id_, one in self._held.items() if one[0] != reviewer}
            self._held |= dict.fromkeys(found, (reviewer, clock.monotonic()))
        return found

    def n_of_views(self, reviewer: str) -> dict[View, int]:
        """How many images each view holds for a reviewer."""
        found = Counter(
            view for item in self.items for view in VIEWS if self._is_wanted(item, reviewer, view)
        )
        return {view: found[view] for view in VIEWS}

    def n_flagged(self) -> int:
        """Images above the threshold."""
        return int(self._table.flagged.sum())

    def n_images(self) -> int:
        """Images with a score."""
        return int(self._table.readable.sum())

    def n_trained(self) -> int:
        """Images that trained the model."""
        return self._table.n_trained

    def n_undecided(self) -> int:
        """Images with a score for whose product there is no threshold."""
        return self._table.n_undecided

    def n_flagged_open(self) -> int:
        """Flagged images that nobody has answered."""
        said = self.book.answers
        return self.n_flagged() - sum(item.is_flagged and item.path in said for item in self.items)

    def rates(self) -> list[Rate]:
        """How many of the flagged images are defects, and how many of the others."""
        said, done = self.book.answers, 0
        while done < len(self.items) and self.items[done].path in said:
            done += 1
        labels = {
            item.row: self.book.verdict(item.path).label for item in self.items if item.path in said
        }
        return [self._rate(labels, done, flagged=flagged) for flagged in (True, False)]

    def _rate(self, labels: Mapping[int, str | None], done: int, *, flagged: bool) -> Rate:
        on_side = self._table.flagged == flagged
        n_images = int((on_side & self._table.readable).sum())
        answered = [label for row, label in labels.items() if on_side[row]]
        drawn = [
            labels.get(one.row)
            for one in self._table.queue.draws
            if one.is_flagged == flagged and one.after <= done
        ]
        is_all = len(answered) == n_images
        return defect_rate(answered if is_all else drawn, flagged=flagged, n_images=n_images)

    def _is_wanted(self, item: Item, reviewer: str, view: View) -> bool:
        said = self.book.answers.get(item.path)
        if said is None:
            return view == "open"
        if view in ("mine", "second"):
            return (reviewer in said) == (view == "mine")
        return view == "disagree" and len(said) > 1 and self.book.verdict(item.path).disagree

    def _is_held(self, item: Item, reviewer: str, view: View) -> bool:
        who, since = self._held.get(item.id, (reviewer, 0.0))
        return view == "open" and who != reviewer and clock.monotonic() - since < _HELD_SECONDS


def read_file_of(encoded: EncodedImages, place: int) -> bytes:
    """The bytes of an image that is a file."""
    data = encoded.read(place)
    if not isinstance(data, bytes):
        raise ImageError("it is no file")
    return data
