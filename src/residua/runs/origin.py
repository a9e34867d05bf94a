"""Where a run's images come from, and how they were read: asked of every run, whoever trained its
model.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from residua.errors import SourceError
from residua.images import ImageSet, load_images
from residua.images.reading import Reading
from residua.images.run_source import find_run_source
from residua.records import Assumption
from residua.runs.progress import Watcher

MEMORY_MEGABYTES = 2048.0
"""Megabytes of pixels that a command keeps in memory unless told otherwise."""


@dataclass(frozen=True)
class Origin:
    """The source of a run with everything that says how to read it again.

    ``working_folder`` is where the run was made, so that a relative source is found from anywhere;
    ``made_here`` tells a run of this machine from one that was sent. ``separator`` stands between
    labels of which several may hold at once; ``targets`` is the source of what a model should
    give, where that is not its input.
    """

    source: str
    seed: int = 0
    normal: tuple[str, ...] | None = None
    reading: Reading | None = None
    bits: int | None = None
    follow_links: bool = False
    root: str | None = None
    working_folder: str = ""
    made_here: str = ""
    separator: str | None = None
    targets: str | None = None
    assumptions: tuple[Assumption, ...] = ()
    test_fingerprint: str | None = None

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
        """The images of the source, in the parts that the seed gives; `named` where the user named
        the source.
        """
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
        )

    def load_other(
        self,
        source: str,
        watcher: Watcher | None = None,
        memory_megabytes: float = MEMORY_MEGABYTES,
        *,
        bits: int | None = None,
    ) -> ImageSet:
        """Another source's images, their values scaled as those of the run's source unless `bits`
        are told; links are followed if the run's were.
        """
        return load_images(
            source,
            seed=self.seed,
            memory_megabytes=memory_megabytes,
            progress=(watcher or Watcher()).on_read,
            bits=bits,
            reading=self.reading,
            follow_links=self.follow_links,
        )
