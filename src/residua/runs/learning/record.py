"""`learning.json`: what a run has learnt from corrections, from whom, and what changed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from residua._files import read_record as read_stored, write_json
from residua._labels import spelled
from residua._text import count, few
from residua.records import Record
from residua.runs.learning.corrections import Correction
from residua.runs.run_folder import RunFolder

_OUT = ", each left out in turn"
_ASKED = {
    "defects": ("labelled defect", _OUT),
    "unlike": ("labelled defect", ", if the head did not know their kind"),
    "alarms": ("corrected false alarm", _OUT),
    "anomalies": ("anomalous calibration image", " that taught nothing"),
    "made": ("made defect", " on normal images"),
    "normals": ("good image", " that training held out"),
}
"""What is asked at the threshold before and after learning, and how it is said."""
_MUCH = 0.1  # of the labelled anomalies, from which on their loss is more than told


class Flagged(Record):
    """Of ``n`` images, how many the parent flags at its threshold, and the new version at its."""

    n: int = 0
    before: int = 0
    after: int = 0


class KindsLearnt(Record):
    """The kinds that defects are told to be of, and how well.

    Of ``n`` defects, each left out in turn, ``right`` get their kind and ``none`` are called none
    of these. Of ``n_unknown`` images of kinds that were left out as a whole, and of false alarms,
    ``unknown_none`` are.
    """

    names: tuple[str, ...]
    n: int
    right: int
    none: int
    n_unknown: int
    unknown_none: int


class LearningRecord(Record):
    """One step of learning.

    ``parent`` is the run that learnt and ``parent_weights`` the SHA-256 of its weights; ``earlier``
    are the corrections of steps before. ``weight`` is that of the head for labelled defects,
    ``gain`` the ROC AUC that it adds on defects left out in turn, of ``n_groups`` that could be;
    None where none could, or no weight was sure to gain. ``n_alarms`` good images had raised an
    alarm and lower their likes. ``lent`` calibration images were taken as normals to learn beside.
    What is flagged at the threshold, before and after: labelled ``anomalies`` in calibration, which
    taught nothing, ``defects`` and ``alarms`` of this step, each left out in turn, and ``normals``
    that training held out; ``unlike`` are the defects as if of a kind that the head does not know.
    ``is_headless``: a head would have found fewer defects, and was dropped.
    ``reach`` is how far false alarms are learnt, ``harm`` what a wider reach would miss, and
    ``n_alone`` how many of this step's have none like them. ``made`` are defects made on normal
    images.
    ``kinds`` are those that it tells now; None where fewer than two defects of any are named.
    ``n_moved`` test images left the test part, ``n_moved_near`` of
    them as near-copies of corrections, and ``n_held`` calibration images count as if they had
    taught nothing, ``n_held_near`` of them near-copies. ``n_unsearched`` test and calibration
    images could not be compared with the corrections.
    """

    format: Literal["residua-learning"] = "residua-learning"
    format_version: Literal[1] = 1
    date: str
    parent: str
    parent_weights: str
    corrections: tuple[Correction, ...]
    earlier: tuple[Correction, ...] = ()
    n_alarms: int = 0
    weight: float = 0.0
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    n_groups: int = 0
    lent: int = 0
    sampled: int = 0
    n_moved: int = 0
    n_moved_near: int = 0
    n_held: int = 0
    n_held_near: int = 0
    n_unsearched: int = 0
    anomalies: Flagged = Flagged()
    defects: Flagged = Flagged()
    unlike: Flagged = Flagged()
    alarms: Flagged = Flagged()
    made: Flagged = Flagged()
    normals: Flagged = Flagged()
    reach: Literal["wide", "narrow", "none"] = "wide"
    harm: dict[str, Flagged] = Field(default_factory=dict)
    n_alone: int = 0
    is_headless: bool = False
    kinds: KindsLearnt | None = None
    threshold_before: float
    threshold_after: float

    @property
    def pixels(self) -> list[str]:
        """The hashes of all images that the run has learnt from, and of near-copies of them."""
        every = (*self.earlier, *self.corrections)
        return [pixels for one in every for pixels in (one.pixels, *one.copies)]

    @property
    def copies(self) -> dict[str, str]:
        """The hash of the correction that each near-copy of one shows, by its own hash."""
        every = (*self.earlier, *self.corrections)
        return {own: one.pixels for one in every for own in one.copies}

    def about_corrections(self) -> str:
        """How many images, of which label, from whom."""
        n_good = sum(one.label == "good" for one in self.corrections)
        n_defects = len(self.corrections) - n_good
        named = [one.reviewer.split(", ") for one in self.corrections if one.reviewer]
        names = sorted({name for some in named for name in some})
        who = f", by {few(names)}" if names else ""
        n = count(len(self.corrections), "correction")
        return f"{n}: {n_good:,} good, {n_defects:,} defective{who}"

    def about_alarms(self) -> str | None:
        """What the good ones teach; None where there are none."""
        n_good = sum(one.label == "good" for one in self.corrections)
        if not n_good:
            return None
        right = n_good - self.n_alarms
        said = []
        if self.n_alarms:
            said.append(f"{count(self.n_alarms, 'good image')} had raised a false alarm")
            said[0] += self._about_reach(self.n_alarms)
        if right:
            said.append(
                f"{count(right, 'good image')} had not been flagged, so there was nothing to learn"
                f" from {'it' if right == 1 else 'them'}"
            )
        return ". ".join(said)

    def _about_reach(self, n: int) -> str:
        """How far the false alarms are learnt, and why no further."""
        them = "it" if n == 1 else "them"
        missed = " and ".join(
            f"{one.before - one.after:,} of {count(one.before, _ASKED[name][0])} that are flagged"
            for name, one in self.harm.items()
        )
        if self.reach == "none":
            return (
                f". WHAT {'IT TEACHES' if n == 1 else 'THEY TEACH'} IS LEFT OUT, since it would"
                f" miss {missed}. Label some defects too, or set a higher threshold"
            )
        if self.reach == "narrow":
            why = f". To learn more of {them} would miss {missed}" if missed else ""
            return f": repeats of {them} score lower now, and no other images{why}"
        if not self.n_alone:
            return f": images like {them} score lower now"
        if self.n_alone >= n:
            why = "" if n == 1 else ", since they are no more like each other than like normal ones"
            if not self.made.n:
                why = (
                    ". The run stores no made defects: --source with its images lets it learn more"
                )
            return f": repeats of {them} score lower now, and no other images{why}"
        return (
            f": images like {them} score lower now. Of {self.n_alone:,} only repeats do, since no"
            " other corrected image is like them"
        )

    def about_defects(self) -> str | None:
        """What the head for defects is worth; None where there are none."""
        defects = [one for one in (*self.earlier, *self.corrections) if one.label == "defect"]
        if not defects:
            return None
        start = f"{count(len(defects), 'labelled defect')}"
        if self.n_groups < 2:
            return (
                f"{start}: too few to leave one out, so the head for them is not used. Unknown"
                " kinds are found as before"
            )
        if self.is_headless:
            return (
                f"{start}, each left out in turn: at the threshold, a head for them would cost more"
                " defects than it finds, so it is not used"
            )
        if not self.weight:
            return (
                f"{start}, each left out in turn: the head for them is not sure to help, so it is"
                " not used"
            )
        gain, low, high = self.gain or 0.0, self.low or 0.0, self.high or 0.0
        return (
            f"{start}, each left out in turn: the head adds {gain:.3f} to ROC AUC"
            f" [{low:.3f}, {high:.3f}] and is used with weight {self.weight:g}"
        )

    def about_kinds(self) -> str | None:
        """Which kinds are told and how well; None where none are named."""
        if self.kinds is None:
            if not self._named():
                return None
            return "kinds are not told yet: it takes two defects of a kind, of two parts"
        told = self.kinds
        known = {spelled(name) for name in told.names}
        others = sorted(name for name in self._named() if spelled(name) not in known)
        missing = ""
        if others:
            missing = f"; {few(others)} not yet, as it takes two defects of a kind, of two parts"
        return (
            f"{count(len(told.names), 'kind')} of defects {_are(len(told.names))} told now:"
            f" {few(told.names)}{missing}. Of"
            f" {told.n:,} defects, each left out in turn, {told.right:,} get their kind and"
            f" {told.none:,} {_are(told.none)} called none of these. Of {told.n_unknown:,} images"
            f" of no kind known, {told.unknown_none:,} are called so"
        )

    def _named(self) -> set[str]:
        """The kinds that labelled defects have, of earlier steps too."""
        every = (*self.earlier, *self.corrections)
        return {one.kind for one in every if one.label == "defect" and one.kind}

    def about_parts(self) -> str | None:
        """What it means for the parts of the run; None where all images are new."""
        n_trained = sum(
            one.label == "defect" and one.part in ("train", "validation")
            for one in self.corrections
        )
        said = []
        if self.n_moved:
            said.append(
                f"{count(self.n_moved, 'test image')} of the run left the test part"
                f"{_near(self.n_moved_near)}"
            )
        if self.n_held:
            said.append(
                f"{count(self.n_held, 'calibration image')}{_near(self.n_held_near)}"
                f" {_are(self.n_held)} scored for the threshold as if"
                f" {'it' if self.n_held == 1 else 'each'} had taught nothing"
            )
        if n_trained:
            said.append(
                f"{count(n_trained, 'defect')} had been trained on as normal: fit again without"
            )
        return "; ".join(said) or None

    def about_thresholds(self) -> list[str]:
        """What is flagged at the new threshold and was at the old, of images that taught
        nothing.
        """
        said = []
        for name, (what, more) in _ASKED.items():
            one: Flagged = getattr(self, name)
            if one.n:
                how = ", left out" if one.n == 1 and more == _OUT else more
                flagged = f"{one.before:,} before, {one.after:,} now"
                said.append(f"Flagged of {count(one.n, what)}{how}: {flagged}")
        return said

    def about_loss(self) -> str | None:
        """A warning where defects are missed that were found; None where not."""
        for one in (self.defects, self.anomalies):
            if one.before - one.after > _MUCH * one.n:
                return (
                    "Much is missed now that was found. Label some defects too, or leave out"
                    " corrected images that look like defects"
                )
        return None

    def about_right(self) -> str:
        """Which of the corrected images are right now, and what that does not show."""
        n = len(self.corrections)
        before, after = (
            sum(
                flag == (one.label == "defect")
                for one, flag in zip(self.corrections, flags, strict=True)
            )
            for flags in (
                [one.flagged_before for one in self.corrections],
                [one.flagged_after for one in self.corrections],
            )
        )
        return (
            f"Of {count(n, 'corrected image')}, {before:,} {_were(before)} right before and"
            f" {after:,} {_are(after)} right now."
            f" {'It' if n == 1 else 'They'} taught the model, so this is no measure of how good it"
            " is"
        )


def _are(n: int) -> str:
    return "is" if n == 1 else "are"


def _were(n: int) -> str:
    return "was" if n == 1 else "were"


def _near(n_near: int) -> str:
    """How many have the picture of a correction, but not its pixels."""
    how = "near-copies of corrections: re-encoded, resized or brightened"
    return f" ({n_near:,} as {how})" if n_near else ""


def keep_record(folder: RunFolder, record: LearningRecord | None) -> None:
    """Write `learning.json`; of a model that has learnt nothing, delete what an older one left."""
    path = folder.path / "learning.json"
    if record is None:
        path.unlink(missing_ok=True)
    else:
        write_json(path, record.model_dump(mode="json"))


def read_record(folder: RunFolder) -> LearningRecord | None:
    """What a run has learnt; None where it has not.

    Raises
    ------
    BundleError
        If the file is damaged.
    """
    path = folder.path / "learning.json"
    if not path.exists():
        return None
    return read_stored(path, LearningRecord, "`residua learn`", "Learn again from the parent.")
