"""A score that has learnt from corrections: another's, lowered or raised by what people said.

The other scorer stays in the sum whole, so that kinds of defects that nobody showed are found as
before. What may change a score by how much is decided on images that had no part in it.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from residua.training.scoring.density import Gaussian
from residua.training.scoring.head_weight import HeadWeight, choose_weight, folds_of
from residua.training.scoring.kind_head import KindHead, KindLearning
from residua.training.scoring.places import so_many, tamed
from residua.training.scoring.scorer import Scorer, ScorerAround, ScorerOutput, View, add_buffers
from residua.training.synthesis.smoothing import resized

_TOP = 0.04  # share of the places that stand out
_ELSEWHERE = 1e-4  # weight of every other place, so that a flat map has weights too
_COARSE = 8  # rows and columns of the map of a scorer without feature maps
_MARGIN = 2.0  # spreads of normal images that the head has to leave before it counts
_FOLDS = 5
_LENGTH = 0.5  # power of an image's length that is taken out of how far it lies the defects' way
_FLOOR = 1e-2  # of the mean variance, without which engines that multiply out lose digits
_ALIKE, _ALIKE_TO_ONE = (0.05, 0.3), (0.5, 0.6)
"""Of the corrected images, each compared with the others: from which quantile of the likeness
(cosine) on an image is lowered, and from which on in full; and the same for fewer than three."""
_LEAST_RANGE = 0.02
_ALONE = 0.4  # of the way from the likeness of others to 1: where an image has none like it
_MOST_ALIKE = 0.97
_DEPTH = 0.9  # quantile of the corrected scores that is brought down to what is usual
_TINY = 1e-6


class Seen(NamedTuple):
    """What an image is learnt by, a row per image.

    Where a model sees tiles, a second axis is that of the tiles, with NaN where none is seen.

    score : float32 (n,), of the scorer that learns
    marked : float32 (n, n_marked), features averaged over the places that stand out, or the code
    overall : float32 (n, n_overall), features averaged over the image, or a coarse error map
    """

    score: Tensor
    marked: Tensor
    overall: Tensor

    def rows(self, chosen: Tensor) -> Seen:
        """These images alone."""
        return Seen(*(part[chosen] for part in self))

    def apart(self) -> tuple[Seen, Tensor]:
        """Each tile as a row of its own, and the image that it is of, int64 (n_tiles,)."""
        is_there = ~self.score.isnan()
        return self.rows(is_there), is_there.nonzero()[:, 0]

    def scattered(self, values: Tensor) -> Tensor:
        """A number of each row of `apart`, in the shape of the score."""
        whole = torch.full_like(self.score, torch.nan)
        whole[~self.score.isnan()] = values
        return whole


Reach = Literal["wide", "narrow", "none"]
"""How far corrected false alarms are learnt; see `LearnedScorer.learn`."""


class Learning(NamedTuple):
    """What came of corrections.

    ``head`` says what the head for labelled defects is worth; None without any. ``good`` and
    ``defects`` are the scores of the corrected images as if each had taught nothing, (n_good,) and
    (n_defects,), or of their tiles: what they are worth beside what taught nothing. ``unraised``
    are those of the defects without what the head adds, as if it did not know their kind.
    ``kinds`` says how well their kinds are told; None without any. Those good ones that are
    `is_alone`, bool (n_good,), have none like them, so that only their repeats are lowered.
    """

    head: HeadWeight | None
    good: Tensor
    defects: Tensor
    unraised: Tensor
    kinds: KindLearning | None = None
    is_alone: Tensor = torch.zeros(0, dtype=torch.bool)


def see(view: View) -> Seen:
    """What the images of a view are learnt by.

    The features of the 4% of the places that stand out in the map, each weighted by how far it
    does, and of all places. Of a scorer that sees no places: its code, and its map at 8 x 8.
    """
    output, features = view
    error_map = output.error_map[:, None]
    coarse = resized(error_map, _COARSE, _COARSE).flatten(1)
    if features is None:
        return Seen(output.score, coarse, coarse)
    flat = features.float().flatten(2)
    if features.shape[2] == features.shape[3] == 1:
        return Seen(output.score, flat[..., 0], coarse)
    at_places = resized(error_map, features.shape[2], features.shape[3]).flatten(1)
    # Weighted by how far a place stands out: engines whose last digits differ may choose others.
    least = at_places.topk(so_many(_TOP, at_places.shape[1]) + 1, dim=1).values.amin(
        1, keepdim=True
    )
    weights = (at_places - least).clamp(min=0) + _ELSEWHERE * at_places.abs().mean(1, keepdim=True)
    # By a product: OpenVINO 2026 gets the mean of an axis less a constant wrong.
    both = torch.stack([weights, torch.ones_like(weights)], dim=2)
    marked, overall = (flat @ (both / both.sum(1, keepdim=True).clamp(min=_TINY**2))).unbind(2)
    return Seen(output.score, marked, overall)


def under_masks(features: Tensor, masks: list[Tensor]) -> Tensor:
    """Features averaged over what lies under the masks, (batch, n_features); 0 beyond the last.

    Examples
    --------
    >>> features = torch.arange(4.0).view(1, 1, 2, 2)
    >>> under_masks(features, [torch.tensor([[False, False, True, True]] * 4)])
    tensor([[2.]])
    """
    averages, (height, width) = torch.zeros(features.shape[:2]), features.shape[2:]
    for row, mask in enumerate(masks):
        weights = F.adaptive_avg_pool2d(mask.float()[None, None], (height, width))[0, 0]
        weighted = (features[row].float() * weights).sum((1, 2))
        averages[row] = weighted / weights.sum().clamp(min=_TINY)
    return averages


class LearnedScorer(ScorerAround):
    """Another scorer's score, less what is like corrected false alarms, plus a head for defects.

    The inner score is standardised on held-out normals; what lies far out counts by its logarithm,
    which leaves its order. An image whose features point the way of a corrected false alarm's, and
    not of a labelled defect's, is lowered, at most down to what is usual and by no more than
    corrected images needed. It must be more like it than any normal image or made defect is. The
    head is the direction of the labelled defects in whitened features (linear discriminant
    analysis); what lies far out every way counts less. It only raises, and only what lies two
    spreads beyond normal images, or beyond all that were left out. Its weight comes from leaving
    defects out in turn; see `residua.training.scoring.head_weight`.
    """

    base_mean: Tensor
    base_spread: Tensor
    level: Tensor
    direction: Tensor
    head_mean: Tensor
    head_spread: Tensor
    weight: Tensor
    good: Tensor
    bad: Tensor
    alike: Tensor
    depth: Tensor
    length: Tensor

    def __init__(
        self, inner: Scorer, n_marked: int = 1, n_overall: int = 1, *, has_kinds: bool = False
    ) -> None:
        super().__init__(inner)
        self.marked, self.overall = (Gaussian(n, floor=_FLOOR) for n in (n_marked, n_overall))
        self.kinds = KindHead() if has_kinds else None
        n_features = n_marked + n_overall
        zero, one = torch.tensor(0.0), torch.tensor(1.0)
        add_buffers(
            self,
            base_mean=zero.clone(),
            base_spread=one.clone(),
            level=zero.clone(),
            direction=torch.zeros(n_features),
            head_mean=zero.clone(),
            head_spread=one.clone(),
            weight=zero.clone(),
            good=torch.zeros(1, n_features),
            bad=torch.zeros(1, n_features),
            alike=torch.tensor([[1.0, 2.0]]),  # no likeness lies above 1
            depth=zero.clone(),
            length=torch.tensor(_LENGTH),
        )

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *more: Any) -> None:
        """Models of earlier versions have one likeness for all, and take no length out."""
        if (alike := state_dict.get(f"{prefix}alike")) is not None and alike.ndim == 1:
            state_dict[f"{prefix}alike"] = alike[None]
        state_dict.setdefault(f"{prefix}length", torch.tensor(0.0))
        super()._load_from_state_dict(state_dict, prefix, *more)

    @property
    def reconstructs(self) -> bool:
        """As the inner scorer does."""
        return self.inner.reconstructs

    def forward(self, images: Tensor) -> ScorerOutput:
        """Score prepared images; map and reconstruction are the inner scorer's.

        Probabilities are those of kinds of defects, (batch, n_kinds + 1), where it knows any.
        """
        view = self.inner.view(images)
        seen = see(view)
        kinds = None if self.kinds is None else self.kinds(self._white(seen))
        return view.output._replace(score=self.score_of(seen), probabilities=kinds)

    def view(self, images: Tensor) -> View:
        """The inner scorer's view: corrections that come later are learnt by the same features."""
        return self.inner.view(images)

    def score_of(self, seen: Seen) -> Tensor:
        """The score of images by what they are learnt by, (n,)."""
        white = self._white(seen)
        return self._sum(seen, white, self._head(white))

    def learn(
        self,
        normals: Seen,
        is_held_out: Tensor,
        *,
        good: Seen | None = None,
        defects: Seen | None = None,
        groups: Tensor | None = None,
        good_groups: Tensor | None = None,
        head: Literal["wide", "narrow"] | None = "wide",
        kinds: Tensor | None = None,
        made: Seen | None = None,
        reach: Reach = "wide",
        teaches: tuple[Tensor, Tensor] | None = None,
        shown: tuple[Seen, Tensor] | None = None,
    ) -> Learning:
        """Learn from corrected images beside normal ones that neither calibrate nor test.

        - `normals`: Normal images; those of which the inner scorer was fitted give features alone.
        - `is_held_out`: bool tensor, (n_normals,). Which of them the inner scorer was not fitted
          to, so that their scores count.
        - `good`: Good images that raised a false alarm.
        - `defects`: Labelled defects.
        - `groups`, `good_groups`: int64 tensors, (n_defects,) and (n_good,), optional. Which
          defects, and which good images, belong together and are left out together.
        - `head`: "wide", "narrow" or None. Where the head counts: from two spreads of normal images
          on, or beyond all normal images that were left out, so that none raises the threshold.
          None: it has no weight.
        - `kinds`: int64 tensor, (n_defects,), optional. The kind of each defect from 0, -1 where
          nobody named one; each has two groups.
        - `made`: Defects that were made on normal images; without any, the reach is never wide.
        - `reach`: "wide", "narrow" or "none". How far good images are learnt. Wide: what is more
          like one than all of `normals` and `made` are is lowered, if another good image is as much
          like it; else its repeats are. Narrow: repeats alone. None: nothing is lowered.
        - `teaches`: two bool tensors in the shapes of the scores of `good` and `defects`. Which of
          their tiles teach; all that are seen unless told.
        - `shown`: Some defects by what lies under their masks, and which of `defects` each is,
          int64 (n,). They teach kinds too.
        """
        normals, of_normals = normals.apart()
        is_held_out = is_held_out[of_normals]
        held_out = normals.rows(is_held_out)
        self.base_mean = held_out.score.mean()
        self.base_spread = held_out.score.std(correction=0).clamp(min=_TINY)
        self._fit_whitening(normals)
        self.level = self._base(held_out).median()
        n_features = normals.marked.shape[1] + normals.overall.shape[1]
        self.direction = torch.zeros(n_features)
        self.good, self.bad = torch.zeros(1, n_features), torch.zeros(1, n_features)
        alarms, bad = (
            None if seen is None or not len(seen.score) else _Corrected.of(seen, its, which)
            for seen, its, which in zip(
                (good, defects), (good_groups, groups), teaches or (None, None), strict=True
            )
        )
        worth, unseen, told = None, torch.zeros(0), None
        if bad is not None:
            worth, unseen = self._learn_defects(
                (normals, of_normals), is_held_out, bad, is_narrow=head == "narrow"
            )
            if head is None:
                worth = HeadWeight(0.0, n_groups=worth.n_groups)
                self.weight = torch.tensor(0.0)
            self.bad = F.normalize(self._white(bad.teaching), dim=1)
            if kinds is not None:
                told = self._learn_kinds(bad, kinds, held_out, shown)
        of_good = of_defects = unraised = torch.zeros(0)
        is_alone = torch.zeros(0, dtype=torch.bool)
        if alarms is not None:
            if reach != "none":
                is_narrow = reach == "narrow" or made is None
                others = [normals] if made is None else [normals, made.apart()[0]]
                stand_alone = self._learn_good(alarms, others, is_narrow=is_narrow)
                is_alone = torch.zeros(len(alarms.whole.score), dtype=torch.bool)
                is_alone[alarms.image[alarms.teaches][stand_alone]] = True
            white = self._white(alarms.tiles)
            own = None if reach == "none" else alarms.own
            of_good = alarms.whole.scattered(
                self._sum(alarms.tiles, white, self._head(white), own_good=own)
            )
        if bad is not None:
            white = self._white(bad.tiles)
            of_defects, unraised = (
                bad.whole.scattered(self._sum(bad.tiles, white, raised, own_bad=bad.own))
                for raised in (unseen, torch.zeros_like(unseen))
            )
        return Learning(worth, of_good, of_defects, unraised, told, is_alone)

    def _sum(
        self,
        seen: Seen,
        white: Tensor,
        head: Tensor,
        own_good: Tensor | None = None,
        own_bad: Tensor | None = None,
    ) -> Tensor:
        """Score less what is like corrected images plus the head; an image's `own` are left out."""
        base, unit = self._base(seen), F.normalize(white, dim=1)
        likeness, to_bad = _likeness(unit, self.good, own_good), _likeness(unit, self.bad, own_bad)
        low, full = self.alike[..., 0], self.alike[..., 1]
        beyond = likeness - torch.maximum(low, to_bad.amax(1, keepdim=True))
        share = (beyond / (full - low)).clamp(0, 1).amax(1)
        lowered = share * torch.minimum((base - self.level).clamp(min=0), self.depth)
        return base - lowered + _beyond(head) * self.weight

    def _fit_whitening(self, normals: Seen) -> None:
        self.marked.fit(normals.marked)
        self.overall.fit(normals.overall)

    def _base(self, seen: Seen) -> Tensor:
        return tamed((seen.score - self.base_mean) / self.base_spread)

    def _white(self, seen: Seen) -> Tensor:
        return torch.cat([self.marked.whiten(seen.marked), self.overall.whiten(seen.overall)], 1)

    def _head(self, white: Tensor) -> Tensor:
        """How far each image lies the way of the defects, in spreads of normal images."""
        return (_along(white, self.direction, self.length) - self.head_mean) / self.head_spread

    def _learn_good(self, good: _Corrected, others: list[Seen], *, is_narrow: bool) -> Tensor:
        """Keep what an image is lowered by, and from which likeness on; which stand alone."""
        own = good.own[good.teaches]
        self.good = F.normalize(self._white(good.teaching), dim=1)
        excess = (self._base(good.teaching) - self.level).clamp(min=0)
        self.depth = excess.quantile(_DEPTH)
        low, full = torch.tensor(_ALIKE_TO_ONE)
        nearest = _likeness(self.good, self.good, own).amax(1)
        if len(own.unique(dim=0)) > 2:
            low, full = nearest.quantile(torch.tensor(_ALIKE))
        of_others = torch.stack(
            [_likeness(F.normalize(self._white(one), dim=1), self.good).amax() for one in others]
        ).amax()
        is_alone = (nearest < of_others) | is_narrow
        least = torch.where(is_alone, of_others + _ALONE * (1 - of_others), of_others)
        lows = torch.maximum(low, least.clamp(max=_MOST_ALIKE))
        self.alike = torch.stack([lows, torch.maximum(full, lows + _LEAST_RANGE)], 1)
        return is_alone

    def _learn_kinds(
        self,
        defects: _Corrected,
        kinds: Tensor,
        others: Seen,
        shown: tuple[Seen, Tensor] | None,
    ) -> KindLearning:
        """Learn the kinds of defects that have one, beside images of none."""
        of_tiles, more = kinds[defects.image], None
        named = (of_tiles >= 0) & defects.teaches
        if shown is not None and bool((is_named := kinds[shown[1]] >= 0).any()):
            rows = shown[1][is_named]
            more = self._white(shown[0].rows(is_named)), kinds[rows], defects.groups[rows]
        self.kinds = KindHead()
        white, of_others = self._white(defects.tiles.rows(named)), self._white(others)
        return self.kinds.fit(white, of_tiles[named], defects.group[named], of_others, more)

    def _learn_defects(
        self,
        known: tuple[Seen, Tensor],
        is_held_out: Tensor,
        defects: _Corrected,
        *,
        is_narrow: bool,
    ) -> tuple[HeadWeight, Tensor]:
        """Fit the head and choose its weight, on normals and defects that it did not see.

        Also how far each defect lies the way of the others. `known` are normals and their images.
        """
        normals, of_normals = known
        tiles, folds = defects.tiles, _Folds(normals)
        self.direction, own = folds.head(self, defects.teaching)
        self.head_mean, self.head_spread = _zero_and_spread(own, is_narrow=is_narrow)
        unseen = torch.zeros(len(tiles.score))
        for fold in folds_of(defects.group):
            is_left_out = torch.isin(defects.group, fold)
            if bool(is_left_out.all()):
                continue
            direction, away = folds.head(self, tiles.rows(~is_left_out & defects.teaches))
            raised = _along(self._white(tiles.rows(is_left_out)), direction, self.length)
            zero, spread = _zero_and_spread(away, is_narrow=is_narrow)
            unseen[is_left_out] = (raised - zero) / spread
        own = (own - self.head_mean) / self.head_spread
        chosen = choose_weight(
            (self._base(normals)[is_held_out], _beyond(own[is_held_out])),
            (self._base(tiles), _beyond(unseen)),
            defects.groups,
            (of_normals[is_held_out], defects.image),
        )
        self.weight = torch.tensor(chosen.weight)
        return chosen, unseen


class _Corrected(NamedTuple):
    """Corrected images by their tiles, or whole.

    ``image`` and ``group`` are those of each of the ``tiles``, ``teaches`` tells which of them
    teach; ``groups`` are those of the images.
    """

    whole: Seen
    tiles: Seen
    image: Tensor
    group: Tensor
    groups: Tensor
    teaches: Tensor

    @classmethod
    def of(cls, whole: Seen, groups: Tensor | None, teaches: Tensor | None) -> _Corrected:
        tiles, image = whole.apart()
        groups = torch.arange(len(whole.score)) if groups is None else groups
        is_seen = ~whole.score.isnan()
        chosen = (is_seen if teaches is None else teaches)[is_seen]
        return cls(whole, tiles, image, groups[image], groups, chosen)

    @property
    def teaching(self) -> Seen:
        return self.tiles.rows(self.teaches)

    @property
    def own(self) -> Tensor:
        """Which that teach are of the group of each tile, (n_tiles, n_teaching)."""
        return self.group[:, None] == self.group[self.teaches]


def _likeness(unit: Tensor, known: Tensor, own: Tensor | None = None) -> Tensor:
    """The cosine of each image to each of those `known`, -1 for its `own`, (n, n_known)."""
    cosines = unit @ known.T
    return cosines if own is None else cosines.masked_fill(own, -1.0)


def _direction(white: Tensor) -> Tensor:
    """The way of defects; each counts alike, however far out it lies."""
    return F.normalize(F.normalize(white, dim=1).mean(0), dim=0)


def _along(white: Tensor, direction: Tensor, length: Tensor) -> Tensor:
    """How far images lie that way; what lies far out every way counts less."""
    return (white @ direction) / white.norm(dim=1).clamp(min=_TINY) ** length


def _beyond(head: Tensor) -> Tensor:
    return tamed((head - _MARGIN).clamp(min=0))


def _zero_and_spread(of_normals: Tensor, *, is_narrow: bool) -> tuple[Tensor, Tensor]:
    """From where the head counts, less the margin, and its unit."""
    spread = of_normals.std(correction=0).clamp(min=_TINY)
    if not is_narrow:
        return of_normals.mean(), spread
    return torch.maximum(of_normals.mean(), of_normals.amax() - _MARGIN * spread), spread


class _Folds:
    """Normal images in five folds, each with a whitening that the others gave."""

    def __init__(self, normals: Seen) -> None:
        n = len(normals.score)
        generator = torch.Generator().manual_seed(0)
        number = torch.randperm(n, generator=generator) % min(_FOLDS, n)
        self.normals, self.parts = normals, []
        for fold in range(int(number.max()) + 1):
            rows, others = number == fold, number != fold
            if bool(others.any()):
                marked, overall = (
                    Gaussian(part.shape[1], floor=_FLOOR)
                    for part in (normals.marked, normals.overall)
                )
                marked.fit(normals.marked[others])
                overall.fit(normals.overall[others])
                self.parts.append((rows, marked, overall))

    def head(self, scorer: LearnedScorer, defects: Seen) -> tuple[Tensor, Tensor]:
        """The direction of defects, and how far normal images lie that way that had no part."""
        of_normals = torch.zeros(len(self.normals.score))
        for rows, marked, overall in self.parts:
            white, way = (
                torch.cat([marked.whiten(one.marked), overall.whiten(one.overall)], 1)
                for one in (self.normals.rows(rows), defects)
            )
            of_normals[rows] = _along(white, _direction(way), scorer.length)
        return _direction(scorer._white(defects)), of_normals
