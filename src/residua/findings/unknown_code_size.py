"""A reconstructor whose code has a size that nobody knows, beside PCA of several sizes."""

from __future__ import annotations

from collections.abc import Mapping

from residua.findings.kind import Estimate, Finding, FindingKind

PREFIX = "pca_"


def find_unknown_code_size(mse: Estimate, baselines: Mapping[str, Estimate]) -> Finding | None:
    """Between which sizes of PCA, named ``pca_8`` and so on, the model's error lies; None where
    there are none.

    Examples
    --------
    >>> sizes = {
    ...     "pca_2": Estimate(value=0.05),
    ...     "pca_8": Estimate(value=0.02),
    ...     "pca_32": Estimate(value=0.004),
    ... }
    >>> find_unknown_code_size(Estimate(value=0.01), sizes).measured["better_than"]
    8
    """
    errors = {
        int(name.removeprefix(PREFIX)): one.value
        for name, one in baselines.items()
        if name.startswith(PREFIX) and one.value is not None
    }
    if not errors or mse.value is None:
        return None
    beaten = [size for size, error in errors.items() if mse.value < error]
    best = max(beaten) if beaten else None
    listed = ", ".join(f"{error:.4g} with {size}" for size, error in sorted(errors.items()))
    beats = "none of these" if best is None else f"PCA with {best} numbers per image"
    return Finding(
        code=KIND.code,
        severity="note",
        measured={
            "mse": mse.value,
            "sizes": {str(size): error for size, error in sorted(errors.items())},
            "better_than": best,
        },
        meaning=(
            "The size of the latent code is not known. PCA reaches a mean squared error of"
            f" {listed}. The model, with {mse.value:.4g}, beats {beats}. If its latent code is"
            " larger than that, it does worse than a linear map."
        ),
        what_to_do=(
            "State the size of the latent code (latent=), so that PCA of the same size stands"
            " beside the model."
        ),
    )


def of_known_size(baselines: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """`baselines` without PCA of sizes that are only tried."""
    return {name: one for name, one in baselines.items() if not name.startswith(PREFIX)}


KIND = FindingKind(
    "unknown-code-size",
    "PCA baselines for a model of unknown latent size",
    find_unknown_code_size,
    lambda facts: (
        find_unknown_code_size(facts.metrics["mse"], facts.baselines_in("mse"))
        if "mse" in facts.metrics
        else None
    ),
    needs=("metrics", "baselines"),
    jobs=("reconstruct",),
)
