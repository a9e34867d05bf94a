import re
from dataclasses import fields

import numpy as np

from residua.evaluation import Evidence, Gallery, Thumbnails
from residua.findings.figures import Figure, Picture


def full():
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (2, 4, 4, 1), dtype=np.uint8)
    return Evidence(
        paths=np.array(["a/b.png", "é.png", "c.png"], object),
        scores=rng.random(3).astype(np.float32),
        labels=np.array(["good", None, "bad"], object),
        is_anomalous=np.array([False, False, True]),
        labelled=np.array([True, False, True]),
        per_image={"mse": rng.random(3)},
        history={"epoch": np.arange(2)},
        gallery=Gallery(
            np.array([0, 2]), small, error_maps=rng.random((2, 4, 4), dtype=np.float32)
        ),
        figures={
            "leakage": Figure.of(
                [[Picture(small[0], "train/a"), Picture(small[1], "test/b")]], caption="Copies"
            ),
            "torn-groups": Figure(),
        },
        quarantined=(("x.png", "truncated"),),
        baselines={"pca": rng.random(3)},
        thumbnails=Thumbnails(np.array([1, 2]), small),
        prevalence=0.1,
        threshold_from="judged",
        seed=3,
    )


def test_evidence_is_read_back_whole_with_the_pictures_of_its_findings(tmp_path):
    given = full()
    given.save(tmp_path / "evidence.npz")
    read = Evidence.load(tmp_path / "evidence.npz")
    for name in ("scores", "is_anomalous", "labelled"):
        one, two = getattr(read, name), getattr(given, name)
        assert np.array_equal(one, two) and one.dtype == two.dtype
    assert (
        read.labels.tolist() == given.labels.tolist()
        and read.paths.tolist() == given.paths.tolist()
    )
    assert read.quarantined == given.quarantined and read.gallery.reconstructions is None
    assert (
        set(read.figures) == {"leakage", "torn-groups"}
        and read.figures["leakage"].caption == "Copies"
    )
    assert (read.seed, read.prevalence, read.threshold_from) == (3, 0.1, "judged")
    assert np.array_equal(
        read.baselines["pca"], given.baselines["pca"]
    ) and read.thumbnails.index.tolist() == [1, 2]
    pictures = read.figures["leakage"].groups[0].pictures
    assert [one.caption for one in pictures] == ["train/a", "test/b"]
    assert np.array_equal(pictures[1].pixels, given.gallery.images[1])


def test_evidence_of_earlier_versions_which_called_figures_exhibits_is_read(tmp_path):
    full().save(tmp_path / "evidence.npz")
    arrays = dict(np.load(tmp_path / "evidence.npz"))
    earlier = {re.sub("^figures/", "exhibits/", name): array for name, array in arrays.items()}
    assert any(name.startswith("exhibits/leakage/") for name in earlier)
    np.savez(tmp_path / "earlier.npz", **earlier)
    read = Evidence.load(tmp_path / "earlier.npz")
    assert read.figures["leakage"].caption == "Copies"


def test_evidence_of_nothing_but_paths_comes_back_as_that(tmp_path):
    Evidence(paths=np.array(["a"])).save(tmp_path / "evidence.npz")
    read = Evidence.load(tmp_path / "evidence.npz")
    told = ("paths", "seed", "threshold_from")
    empty = [getattr(read, one.name) for one in fields(read) if one.name not in told]
    assert all(value is None or len(value) == 0 for value in empty)
