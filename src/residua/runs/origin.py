"""Where a run's images come from, and how they were read: asked of every run, whoever trained its
model.
"""

from __future__ import annotations

import getpass
import hashlib
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

from residua.engines.interface import ModelFacts
from residua.errors import InputError, SourceError
from residua.images import Grouping, ImageSet, load_images
from residua.images.products import OfModel
from residua.images.reading import Reading
from residua.images.stores import is_url
from residua.records import Assumption
from residua.runs.progress import Watcher

MEMORY_MEGABYTES = 2048.0
"""Megabytes of pixels that a command keeps in memory unless told otherwise."""


def mark_of_here(working_folder: str, source: str) -> str:
    """A mark of this machine, the user, the folder and the source that a run was begun with.

    Strangers cannot make it, and the mark of a run that was given away holds for its own source
    alone.
    """
    try:
        machine = Path("/etc/machine-id").read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        machine = ""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = ""
    told = "\0".join((machine or f"{uuid.getnode():x}", user, working_folder, source))
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()


def find_run_source(source: str, working_folder: str, mark: str, *, named: bool = False) -> str:
    """The source of a run: a relative one from where the run was begun, if it is still there.

    A URL is taken only from a run that was begun here, or where the user has `named` it: whoever
    sends a run would else choose which addresses this machine asks.

    Raises
    ------
    SourceError
        For a URL of a run from elsewhere that was not named.
    """
    if is_url(source) or source.startswith("file:"):
        if not named and mark != mark_of_here(working_folder, source):
            raise SourceError(
                f"{source}: the URL in a run that was not made here must be named by you. It was"
                f" not. Name it: residua evaluate RUN {source}"
            )
        return source
    there = Path(working_folder) / source
    return str(there) if working_folder and source and there.exists() else source


@dataclass(frozen=True)
class Origin:
    """The source of a run with everything that says how to read it again.

    ``working_folder`` is where the run was made, so that a relative source is found from anywhere;
    ``made_here`` tells a run of this machine from one that was sent. ``separator`` stands between
    labels of which several may hold at once; ``targets`` is the source of what a model should
    give, where that is not its input. ``groups`` is how images were grouped; as a text, what the
    user tells, which has to hold of any source. So does ``product``, which says which product an
    image shows, unless it is the run's own: an `OfModel`.
    """

    source: str
    seed: int = 0
    normal: tuple[str, ...] | None = None
    reading: Reading | None = None
    bits: int | None = None
    follow_links: bool = False
    root: str | None = None
    groups: str | Grouping | None = None
    product: str | None = None
    working_folder: str = ""
    made_here: str = ""
    separator: str | None = None
    targets: str | None = None
    assumptions: tuple[Assumption, ...] = ()
    test_fingerprint: str | None = None

    def grouped_by(self, told: str | None) -> Origin:
        """The same source, its images grouped as the user tells; else as they were."""
        return self if told is None else replace(self, groups=told)

    def of_products(self, told: str | None) -> Origin:
        """The same source, its products as the user tells; else as they were."""
        return self if told is None else replace(self, product=told)

    def for_model(self, facts: ModelFacts) -> Origin:
        """The same source, its products by the rule of the model where nobody told another.

        Raises InputError if somebody told one, and the model has no products.
        """
        if facts.products is None and self.product is not None:
            raise InputError(
                f"--product: the run must have products. It has none. Got {str(self.product)!r}."
                " Leave --product out, or fit with it."
            )
        if facts.products is None or self.product is not None:
            return self
        return replace(self, product=OfModel(facts.products.rule))

    def located(self, *, named: bool = False) -> str:
        """The source as it was found when the run was made; see `find_run_source`."""
        return self._find(self.source, named=named)

    def located_targets(self) -> str | None:
        """The source of the targets; None where the input is what should come out."""
        return None if self.targets is None else self._find(self.targets)

    def _find(self, source: str, *, named: bool = False) -> str:
        if not source:
            raise SourceError(
                "source: it must be named. Got none, and the run stores none, because its model was"
                " trained in Python. Name a SOURCE; for a report, run `residua evaluate RUN SOURCE"
                " --html OUT`."
            )
        return find_run_source(source, self.working_folder, self.made_here, named=named)

    def is_own(self, source: str) -> bool:
        """Whether `source` is the one that the run was made on."""
        if not self.source:
            return False
        own = self.located(named=True)
        if source in (own, self.source):
            return True
        return Path(source).exists() and Path(own).exists() and Path(source).samefile(own)

    def load(
        self,
        watcher: Watcher | None = None,
        memory_megabytes: float = MEMORY_MEGABYTES,
        *,
        named: bool = False,
    ) -> ImageSet:
        """The source's images in the seed's parts; `named` where the user named the source."""
        return load_images(
            self.located(named=named),
            normal=self.normal,
            seed=self.seed,
            memory_megabytes=memory_megabytes,
            progress=(watcher or Watcher()).on_read,
            bits=self.bits,
            reading=self.reading,
            follow_links=self.follow_links,
            root=self.root,
            groups=self.groups.to_repeat if isinstance(self.groups, Grouping) else self.groups,
            product=None if self.product is None else str(self.product),
        )

    def load_moved(
        self, source: str | None, watcher: Watcher | None = None, root: str | None = None
    ) -> ImageSet:
        """The run's own images, from another `source` where one is named; the paths of its
        manifest are relative to `root`, else to what those of the run's were.
        """
        if source is None:
            return self.load(watcher)
        told = self.root if root is None or self.is_own(source) else root
        return self.load_other(source, watcher, root=told if Path(source).is_file() else None)

    def load_other(
        self,
        source: str,
        watcher: Watcher | None = None,
        memory_megabytes: float = MEMORY_MEGABYTES,
        *,
        bits: int | None = None,
        root: str | None = None,
    ) -> ImageSet:
        """Another source's images, their values scaled as those of the run's source unless `bits`
        are told; links are followed if the run's were. Groups are those of the run's rule, where it
        applies.
        """
        return load_images(
            source,
            seed=self.seed,
            memory_megabytes=memory_megabytes,
            progress=(watcher or Watcher()).on_read,
            bits=bits,
            reading=self.reading,
            follow_links=self.follow_links,
            root=root,
            groups=self.groups,
            product=self.product,
        )
