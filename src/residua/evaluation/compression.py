"""How much a judged model compresses, in its record: the size of its code beside that of an image,
and what that costs beside PCA of the same size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from residua.metrics.compression import code_words, latent_compression
from residua.metrics.names import baseline_title
from residua.records import Evaluation

UNKNOWN = "how many numbers its code holds is not known; state them with latent="


def compression_facts(
    image_size: Sequence[int], code: int | None, *, bits_a_value: int = 8, reason: str = UNKNOWN
) -> dict[str, Any]:
    """What ``provenance["compression"]`` holds; without a `code`, the `reason` why there is none.

    >>> compression_facts((28, 28, 1), 32)["ratio"]
    24.5
    >>> compression_facts((28, 28, 1), None)["ratio"] is None
    True
    """
    found = (
        None if code is None else latent_compression(image_size, code, bits_a_value=bits_a_value)
    )
    return {
        "values": math.prod(image_size),
        "code": code,
        "ratio": None if found is None else found.ratio,
        "bits_a_number": 32,
        "bits_a_value": bits_a_value,
        "bit_ratio": None if found is None else found.bit_ratio,
        "reason": reason if code is None else None,
    }


def compression_sentence(evaluation: Evaluation) -> str | None:
    """How much the model compresses, its error and that of PCA of this size, or None.

    >>> told = {"compression": compression_facts((28, 28, 1), None, reason="it keeps images")}
    >>> record = Evaluation(job="detect", n_images=9, split="test", provenance=told)
    >>> compression_sentence(record)
    'Compression: not measured, because it keeps images.'
    """
    told = evaluation.provenance.get("compression")
    if not isinstance(told, dict):
        return None
    values, code = told.get("values"), told.get("code")
    if code is None or values is None:
        return f"Compression: not measured, because {told.get('reason')}."
    said = f"Compression: {code_words(values, code, bits_a_value=told.get('bits_a_value', 8))}"
    return said if code >= values else f"{said}{_cost(evaluation, code)}"


def _cost(evaluation: Evaluation, code: int) -> str:
    """The error beside that of PCA with as many numbers, where both were measured."""
    own = evaluation.metrics.get("mse")
    if own is None or own.value is None:
        return ""
    said = f" Mean squared error {own.value:.4g}"
    rival = evaluation.baselines.get("pca", {}).get("mse")
    if rival is None or rival.value is None:
        return f"{said}."
    learnt_from = evaluation.provenance.get("baselines_learnt_from") or code + 1
    numbers = f"{min(code, learnt_from - 1):,}"
    said = f"{said}; {baseline_title('pca')} with {numbers} numbers {rival.value:.4g}"
    standing = evaluation.standings.get("pca")
    if standing is None or standing.metric != "mse" or standing.difference.value is None:
        return f"{said}."
    found = standing.difference
    ends = "" if found.low is None else f" [{found.low:+.2g}, {found.high:+.2g}]"
    return f"{said}: model minus PCA {found.value:+.2g}{ends}."
