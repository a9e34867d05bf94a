"""ROC AUC, average precision and DeLong on 1e5 to 1e8 float32 scores, 1% and 50% positive, beside
scikit-learn and torchmetrics.

Peers stop at 1e7. Ratios are of medians in one run; memory is the peak resident memory above the
inputs, in a process of its own.
"""

from __future__ import annotations

import os

# One thread for everybody: NumPy's sorts and scikit-learn's use one anyway.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from measure import Results, in_subprocess, median_seconds, rounded
from residua.metrics.intervals import average_precision_interval, roc_auc_interval
from residua.metrics.ranking import average_precision, roc_auc

SIZES = (10**5, 10**6, 10**7, 10**8)
SHARES = (0.5, 0.01)

MEMORY = """
import json, resource, numpy as np, sys
rng = np.random.default_rng(0)
n = {n}
labels = rng.random(n, dtype=np.float32) < {share}
scores = rng.standard_normal(n, dtype=np.float32)
{setup}
def peak():
    # The high-water mark of this process alone, reset once the inputs stand.
    line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
open("/proc/self/clear_refs", "w").write("5")
before = peak()
{call}
print(json.dumps((peak() - before) / n))
"""
OURS = (
    "from residua.metrics.ranking import roc_auc; roc_auc(labels[:100], scores[:100])",
    "roc_auc(labels, scores)",
)
SCIKIT = (
    "from sklearn.metrics import roc_auc_score; roc_auc_score(labels[:1000], scores[:1000])",
    "roc_auc_score(labels, scores)",
)
TORCH = (
    (
        "import torch; from torchmetrics.functional.classification import binary_auroc; t, s ="
        " torch.from_numpy(labels.astype(np.int64)), torch.from_numpy(1 / (1 + np.exp(-scores)));"
        " binary_auroc(s[:1000], t[:1000])"
    ),
    "binary_auroc(s, t)",
)


def extra_bytes(n: int, share: float, what: tuple[str, str]) -> float:
    return round(in_subprocess(MEMORY.format(n=n, share=share, setup=what[0], call=what[1])), 1)


def data(n: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.random(n, dtype=np.float32) < share
    scores = rng.standard_normal(n, dtype=np.float32)
    scores += labels
    return labels, scores


def ours(n: int, share: float) -> dict[str, float]:
    labels, scores = data(n, share)
    runs = 9 if n <= 10**7 else 3
    area = median_seconds(lambda: roc_auc(labels, scores), runs=runs)
    delong = median_seconds(lambda: roc_auc_interval(labels, scores), runs=runs)
    precision = median_seconds(lambda: average_precision(labels, scores), runs=runs)
    return {
        "roc_auc_seconds": rounded(area),
        "roc_auc_interval_seconds": rounded(delong),
        "delong_over_roc_auc": rounded(delong / area),
        "average_precision_seconds": rounded(precision),
    }


def peers(n: int, share: float) -> dict[str, float]:
    import torch
    from sklearn.metrics import roc_auc_score
    from torchmetrics.functional.classification import binary_auroc

    torch.set_num_threads(1)
    labels, scores = data(n, share)
    # torchmetrics would squash scores outside [0, 1] by itself, and not count that: give it what it
    # wants.
    squashed, truth = (
        torch.from_numpy(1 / (1 + np.exp(-scores))),
        torch.from_numpy(labels.astype(np.int64)),
    )
    runs = 3 if n >= 10**7 else 5
    area = median_seconds(lambda: roc_auc(labels, scores), runs=9)
    scikit = median_seconds(lambda: roc_auc_score(labels, scores), runs=runs)
    torchmetrics = median_seconds(lambda: binary_auroc(squashed, truth), runs=runs)
    return {
        "roc_auc_seconds": rounded(area),
        "scikit_learn_seconds": rounded(scikit),
        "torchmetrics_seconds": rounded(torchmetrics),
        "times_scikit_learn": rounded(scikit / area),
        "times_torchmetrics": rounded(torchmetrics / area),
        "difference_to_scikit_learn": abs(
            roc_auc(labels, scores) - float(roc_auc_score(labels, scores))
        ),
    }


def memory(n: int, share: float) -> dict[str, float]:
    row = {"ours_bytes_a_score": extra_bytes(n, share, OURS)}
    if n <= 10**7:
        row |= {
            "scikit_learn_bytes_a_score": extra_bytes(n, share, SCIKIT),
            "torchmetrics_bytes_a_score": extra_bytes(n, share, TORCH),
        }
    return row


def precision_interval(n: int, share: float) -> dict[str, float]:
    labels, scores = data(n, share)
    return {
        "average_precision_interval_seconds": rounded(
            median_seconds(lambda: average_precision_interval(labels, scores), runs=3)
        )
    }


def main() -> None:
    results = Results("ranking")
    for n in SIZES:
        for share in SHARES:
            name = f"{n:.0e} scores, {share:.0%} positive"
            results.measure(f"{name}: ours", lambda n=n, share=share: ours(n, share))
            if n <= 10**7:
                results.measure(f"{name}: beside peers", lambda n=n, share=share: peers(n, share))
                results.measure(
                    f"{name}: average precision interval",
                    lambda n=n, share=share: precision_interval(n, share),
                )
            if n >= 10**6:
                results.measure(f"{name}: memory", lambda n=n, share=share: memory(n, share))


if __name__ == "__main__":
    main()
