"""The engine on a GPU: refused without one; with one the reference's scores to a millionth of their
spread, for every recipe."""

import numpy as np
import pytest
import torch
from exporting import exported, shaken, verification

from residua.engines import KINDS
from residua.errors import InputError
from residua.training.export import build_engine
from residua.training.recipes import RECIPES
from residua.training.scoring.engine_variants import VARIANTS

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def test_every_engine_without_a_file_is_a_variant_of_the_graph():
    assert {
        kind.name for kind in KINDS.values() if not kind.files and not kind.is_reference
    } == set(VARIANTS)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_engine_is_refused_and_leaves_nothing(tmp_path):
    bundle = shaken("plain", 1)
    with pytest.raises(InputError, match="torch-gpu must have a GPU"):
        build_engine(
            bundle,
            KINDS["torch-gpu"],
            tmp_path / "export",
            verification(bundle),
            weights_sha256="0",
        )
    assert list(tmp_path.iterdir()) == []


@needs_gpu
@pytest.mark.parametrize("name", RECIPES)
def test_a_gpu_gives_the_scores_of_the_processor(name):
    bundle, _, card = exported(name, 1, "torch-gpu")
    assert card.deviation.different_decisions == 0
    assert card.deviation.score <= 1e-4 * card.deviation.score_spread
    engine = VARIANTS["torch-gpu"](bundle.graph, 1, bundle.config.batch_size)
    images = list(verification(bundle).images)
    assert np.array_equal(engine.score(images).score, engine.score(images).score)
    assert next(bundle.graph.parameters()).device.type == "cpu"
