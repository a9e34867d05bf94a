"""What evaluating a run notices that takes its network or its records: a code that is dead, a test
part that was used before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from residua.findings import find_dead_latent, find_test_reused
from residua.records import Finding
from residua.runs.parts import JudgedImages
from residua.runs.run_folder import RunFolder
from residua.training.bundle import Bundle
from residua.training.scoring.engine import prepared_chunks
from residua.training.scoring.image_list import at_once

_MOST_CODES = 2000


def find_dead_codes(bundle: Bundle, judged: JudgedImages) -> Finding | None:
    """The finding about the codes of up to 2,000 judged images; None where the network has none."""
    scorer = bundle.graph.scorer
    if not hasattr(scorer.network, "encode"):
        return None
    prepared = prepared_chunks(
        bundle.graph.prepare.at_one_size(), judged.images[:_MOST_CODES], keep_float=True
    )
    with torch.inference_mode():
        batches = (batch for chunk in prepared for batch in chunk.split(at_once(chunk, 256)))
        codes = torch.cat([scorer.encode(batch) for batch in batches]).flatten(1)
    return find_dead_latent(codes.float().cpu().numpy())


def find_reused(folder: RunFolder, judged: JudgedImages) -> Finding | None:
    """Judged images on which the threshold was chosen, by the hashes of the run's calibration
    part.
    """
    recorded = folder.read_images()
    chosen_on = recorded["pixels"][recorded["part"] == "calibration"]
    return find_test_reused(chosen_on, judged.images.pixel_hashes, judged.images.paths)


def calibration_normals(bundle: Bundle) -> NDArray[Any]:
    """Scores of the normal calibration images; empty where there are none."""
    scores, flags = bundle.calibration_scores, bundle.calibration_is_anomalous
    return np.asarray(scores if flags is None else scores[~flags])
