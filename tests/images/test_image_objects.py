"""Objects of Python as sources: arrays, tensors, lists, data sets of every framework, frames."""

from __future__ import annotations

import io
from collections import namedtuple

import numpy as np
import pytest
from PIL import Image

from residua.errors import ImageError, InputError, LabelError, RangeError, ShapeError, SourceError
from residua.images import ImageSet, load_images
from residua.images.loading import as_image_set

N = 12
LABELS = ["good"] * 8 + ["scratch"] * 4
FILES = [f"{one}.png" for one in range(N)]


@pytest.fixture(scope="module")
def pixels(data_folder) -> np.ndarray:
    """Cut from real tiles, in colour, so that channels can be told apart."""
    found = sorted((data_folder / "magnetic_tile").rglob("*.jpg"))[:N]
    if len(found) < N:
        pytest.skip("test data: magnetic_tile is not there")
    small = [np.asarray(Image.open(file).convert("RGB").resize((20, 16))) for file in found]
    return np.stack(small) // np.array([1, 2, 3], np.uint8)


@pytest.fixture(scope="module")
def tensors(pixels):
    torch = pytest.importorskip("torch")
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(pixels, -1, 1)))


def encoded(image: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()


class Items:
    """The smallest data set: a length, and items by number."""

    def __init__(self, items):
        self.items = list(items)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


class Elements:
    """What is read of a ``tf.data.Dataset``."""

    def __init__(self, elements):
        self.elements = elements

    def as_numpy_iterator(self):
        yield from self.elements


def check(images: ImageSet, pixels: np.ndarray, labels=LABELS) -> None:
    assert np.array_equal(images.array(), pixels)
    assert (None if images.labels is None else images.labels.tolist()) == labels
    assert sorted(set(images.splits)) == ["calibration", "test", "train"]


def test_an_array_is_read_as_a_file_with_it_would_be(pixels, tmp_path):
    np.savez(tmp_path / "a.npz", images=pixels, labels=np.arange(N) // 8)
    file = load_images(tmp_path / "a.npz", normal=0)
    given = load_images(
        pixels, labels=np.arange(N) // 8, normal=0, paths=[f"images[{i}]" for i in range(N)]
    )
    check(given, pixels, [0] * 8 + [1] * 4)
    assert given.fingerprint == file.fingerprint
    assert given.splits.tolist() == file.splits.tolist()
    assert not given.train.is_anomalous.any()


@pytest.mark.parametrize("kind", ["uint8", "float32", "bfloat16", "float16", "gradient"])
def test_tensors_have_their_channels_first_which_is_told(tensors, pixels, kind):
    torch = pytest.importorskip("torch")
    made = {
        "uint8": tensors,
        "gradient": (tensors / 255).requires_grad_(),
    }.get(kind)
    if made is None:
        made = (tensors / 255).to(getattr(torch, kind))
    images = load_images(made, labels=LABELS)
    assert images.array().shape == pixels.shape
    scale = 255 if images.dtype == np.float32 else 1
    assert np.abs(images.array() * scale - pixels.astype(float)).max() < 0.6
    assert "layout of tensors" in [made.about for made in images.assumptions]
    alone = load_images(list(made))
    assert np.array_equal(alone.array(), images.array())
    assert "layout of tensors" in [made.about for made in alone.assumptions]


def test_lists_hold_images_of_pillow_arrays_bytes_and_paths_of_any_size(pixels, tmp_path):
    for name, one in zip(FILES, pixels, strict=True):
        Image.fromarray(one).save(tmp_path / name)
    for items in (
        [Image.fromarray(one) for one in pixels],
        list(pixels),
        [encoded(one) for one in pixels],
        [tmp_path / name for name in FILES],
        [{"bytes": None, "path": str(tmp_path / name)} for name in FILES],
    ):
        check(load_images(items, labels=LABELS), pixels)
    check(load_images(list(zip(pixels, LABELS, strict=True))), pixels)
    mixed = load_images([pixels[0], Image.fromarray(pixels[1][:5]), pixels[2][..., 0]])
    assert mixed.sizes.tolist() == [[16, 20], [5, 20], [16, 20]]
    assert len(load_images(Image.fromarray(pixels[0])).test) == 1


def test_an_image_of_pillow_that_is_open_has_the_bits_of_its_file(data_folder):
    file = data_folder / "awkward_images" / "hopper_16bit.pgm"
    with Image.open(file) as image:
        opened, alone = load_images([image]), load_images(file)
    assert opened.byte_hashes.tolist() == alone.byte_hashes.tolist()
    assert opened.pixel_hashes.tolist() == alone.pixel_hashes.tolist()
    turned = data_folder / "awkward_images" / "hopper_orientation_6.jpg"
    with Image.open(turned) as decoded:
        decoded.load()
        upright = load_images([decoded])
    assert upright.fingerprint == load_images(turned).fingerprint
    assert any("EXIF" in note for note in upright.notes)


@pytest.mark.parametrize(
    "pair",
    [
        lambda image, label: (image, label),
        lambda image, label: {"img": image, "target": label, "index": 3},
        namedtuple("Pair", "image label"),
    ],
    ids=["pair", "mapping", "namedtuple"],
)
def test_a_data_set_gives_pairs_and_is_read_again_beyond_memory(pixels, tensors, pair):
    data = Items(pair(image, label) for image, label in zip(tensors, LABELS, strict=True))
    check(load_images(data), pixels)
    little = load_images(data, memory_megabytes=0, seed=1)
    check(little, pixels)
    assert little[3:5].labels.tolist() == LABELS[3:5]
    assert little.paths[0] == "Items[0]"


def test_labels_of_tensors_numbers_and_none_and_a_second_image_that_is_no_label(tensors):
    torch = pytest.importorskip("torch")
    labels = [torch.tensor(3), np.int64(1), 2.0, None, float("nan"), torch.tensor([4])]
    read = load_images(Items(zip(tensors, labels, strict=False)))
    assert read.labels.tolist() == [3, 1, 2, None, None, 4]
    twice = load_images(Items(zip(tensors, tensors, strict=True)))
    assert twice.labels is None
    assert "second part of each item" in [made.about for made in twice.assumptions]


def test_a_loader_is_read_through_its_data_set_in_order(pixels, tensors):
    torch = pytest.importorskip("torch")
    data = Items(zip(tensors, LABELS, strict=True))
    shuffled = load_images(torch.utils.data.DataLoader(data, batch_size=5, shuffle=True))
    check(shuffled, pixels)
    assert any("shuffles" in note for note in shuffled.notes)
    own = torch.utils.data.DataLoader(
        data, batch_size=5, collate_fn=lambda rows: tuple(map(list, zip(*rows, strict=True)))
    )
    check(load_images(own), pixels)

    check(load_images(torch.utils.data.DataLoader(data, batch_size=5, collate_fn=list)), pixels)
    some = torch.utils.data.BatchSampler(range(4), 2, drop_last=False)
    assert len(load_images(torch.utils.data.DataLoader(data, batch_sampler=some))) == 4

    def drawn(sampler):
        return torch.utils.data.DataLoader(data, batch_size=5, sampler=sampler)

    samplers = torch.utils.data
    for sampler in (
        samplers.SubsetRandomSampler(range(N)),
        samplers.WeightedRandomSampler(torch.ones(N), N),
        samplers.RandomSampler(data, replacement=True),
        samplers.RandomSampler(data, num_samples=2),
    ):
        with pytest.raises(SourceError, match="which score is whose"):
            load_images(drawn(sampler))
    assert len(load_images(drawn(samplers.SequentialSampler(range(3))))) == 3
    batches = samplers.BatchSampler(samplers.SubsetRandomSampler(range(N)), 2, drop_last=False)
    for made in ({"shuffle": True, "collate_fn": list}, {"batch_sampler": batches}):
        with pytest.raises(SourceError, match="which score is whose"):
            load_images(samplers.DataLoader(data, **made))

    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            yield from data.items

    check(load_images(Stream()), pixels)
    check(load_images(torch.utils.data.DataLoader(Stream(), batch_size=5)), pixels)


def test_grey_batches_of_any_length_are_read_alike(pixels, tensors):
    torch = pytest.importorskip("torch")
    grey = tensors[:, 0]
    for size in (5, 9, 4, 3):  # the last batch of two or three, or all could be one of channels
        for n in (N, N - 1):
            loader = torch.utils.data.DataLoader(grey[:n], batch_size=size, collate_fn=torch.stack)
            assert np.array_equal(load_images(loader).array()[..., 0], pixels[:n, ..., 0])
    batches = [grey[:4], grey[4:9], grey[9:]]
    assert np.array_equal(load_images(iter(batches)).array()[..., 0], pixels[..., 0])
    check(load_images(iter(tensors)), pixels, None)  # images alone stay images


def test_elements_of_tensorflow_alone_and_in_batches(pixels):
    labels = np.arange(N)
    batches = [(pixels[at : at + 5], labels[at : at + 5]) for at in range(0, N, 5)]
    for elements in (list(zip(pixels, labels, strict=True)), batches):
        check(load_images(Elements(elements)), pixels, labels.tolist())
    grey = load_images(Elements([pixels[:5, ..., 0], pixels[5:, ..., 0]]))
    assert np.array_equal(grey.array()[..., 0], pixels[..., 0])
    with pytest.raises(SourceError, match="one label per image"):
        load_images(Elements([(pixels[:5], labels[:4])]))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_hold_paths_or_bytes_and_columns_as_a_manifest_has_them(pixels, tmp_path, library):
    module = pytest.importorskip(library)
    for name, one in zip(FILES, pixels, strict=True):
        Image.fromarray(one).save(tmp_path / name)
    Image.fromarray((pixels[9] > 90).astype(np.uint8)[..., 0] * 255).save(tmp_path / "mask.png")
    columns = {
        "file": FILES,
        "label": LABELS,
        "mask": [None] * 9 + ["mask.png"] + [None] * 2,
        "Part": [f"p{i // 2}" for i in range(N)],
    }
    images = load_images(module.DataFrame(columns), root=tmp_path, groups="Part")
    check(images, pixels)
    assert images.n_groups == N // 2
    assert images.masks[9] is not None
    assert images.masks[8] is None
    assert images.normal == ("good",)
    data = {"image": [encoded(one) for one in pixels], "label": [0.0] * 11 + [None]}
    check(load_images(module.DataFrame(data)), pixels, [0] * 11 + [None])
    with pytest.raises(SourceError, match="column split: must be train"):
        load_images(module.DataFrame({"path": FILES, "split": ["train"] * 11 + ["dev"]}))


def test_data_sets_of_hugging_face_have_classes_by_name_and_parts(pixels):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "picture": datasets.Image(),
            "label": datasets.ClassLabel(names=["good", "scratch"]),
            "camera": datasets.Value("string"),
        }
    )
    columns = {
        "picture": [{"bytes": encoded(one), "path": None} for one in pixels],
        "label": [int(label == "scratch") for label in LABELS],
        "camera": ["left", "right"] * (N // 2),
    }
    data = datasets.Dataset.from_dict(columns, features=features)
    check(load_images(data), pixels)
    assert load_images(data, groups="camera").n_groups == 2
    check(load_images(data.to_iterable_dataset()), pixels)
    small = data.with_transform(
        lambda rows: {"image": [one.resize((8, 8)) for one in rows["picture"]]}
    )
    assert load_images(small).uniform_size == (8, 8)
    parts = datasets.DatasetDict(train=data.select(range(6)), test=data.select(range(6, N)))
    read = load_images(parts)
    assert len(read.test) == 6
    assert read.test.labels.tolist() == LABELS[6:]
    with pytest.raises(SourceError, match="Got unlabelled"):
        load_images(datasets.DatasetDict(unlabelled=data))


def test_what_cannot_be_an_image_is_refused_with_its_number(pixels, tensors):
    def broken(at, value):
        return Items([value if row == at else image for row, image in enumerate(tensors)])

    with pytest.raises(RangeError, match=r"Items\[7\].*Got values in \[-0.*Normalize"):
        load_images(broken(7, tensors[7].float() / 127.5 - 1))
    with pytest.raises(RangeError, match=r"Items\[2\].*Divide them by 255"):
        load_images(broken(2, tensors[2].float()))
    with pytest.raises(ShapeError, match=r"Items\[5\].*Got builtins.object"):
        load_images(broken(5, object()))
    with pytest.raises(ShapeError, match=r"Items\[5\].*1, 3 .* or 4 .*Got shape \(5, 6, 7\)"):
        load_images(broken(5, tensors.new_zeros(5, 6, 7)))
    with pytest.raises(ShapeError, match=r"two axes could be"):
        load_images(tensors[..., :3])
    with pytest.raises(ShapeError, match=r"np.moveaxis\(images, 1, -1\)"):
        load_images(np.moveaxis(pixels, -1, 1))
    with pytest.raises(ShapeError, match=r"images\[1\].*np.moveaxis\(images, 0, -1\)"):
        load_images([pixels[0], np.moveaxis(pixels[1], -1, 0)])
    with pytest.raises(SourceError, match=r"Items\[0\]: must have one of the keys image"):
        load_images(Items([{"a": 1}]))
    with pytest.raises(SourceError, match=r"Got builtins\.int"):
        load_images(3)
    with pytest.raises(SourceError, match="at least one image"):
        load_images([])
    with pytest.raises(ShapeError, match="labels must have one entry per image"):
        load_images(pixels, labels=[1])
    with pytest.raises(ShapeError, match=r"array\[1\]: \(3, 3\) where its image is \(16, 20\)"):
        load_images(pixels, masks=[None, np.ones((3, 3))] + [None] * (N - 2))
    with pytest.raises(InputError, match="Got an ImageSet"):
        load_images(load_images(pixels))
    with pytest.raises(InputError, match="are for objects"):
        load_images("digits", labels=[1])
    with pytest.raises(SourceError, match="one pair of 12 images and their labels"):
        load_images((pixels, LABELS))
    hidden = np.ma.masked_equal(pixels, pixels.max())
    for given in (hidden, list(hidden), as_image_set):
        with pytest.raises(RangeError, match="no masked entries"):
            given(hidden) if callable(given) else load_images(given)


def test_bytes_of_0_and_1_alone_are_refused_and_bits_are_not(pixels):
    bits = pixels > 100
    for given in (bits.astype(np.uint8), list(bits.astype(np.uint8))):
        for read in (load_images, as_image_set):
            with pytest.raises(RangeError, match=r"Got 0 and 1 alone.*astype\(bool\).*\.bool"):
                read(given)
    with pytest.warns(UserWarning, match=r"read as black. If it is binary, pass images.ast"):
        as_image_set(bits[:1].astype(np.uint8))
    assert load_images(bits).array().max() == 255
    assert len(load_images(np.zeros_like(pixels))) == N  # black is black


def test_a_mistake_with_an_object_names_the_mend_of_objects(pixels):
    with pytest.raises(RangeError, match=r"Pass \(images \+ 1\) / 2 if their scale is -1 to 1"):
        load_images(pixels / np.float32(127.5) - 1)
    with pytest.raises(SourceError, match=r"no such file\)\. Pass images; paths are relative to"):
        load_images(["nowhere.png"])
    with pytest.raises(ShapeError) as refused:
        load_images(pixels, labels=[1])
    assert str(refused.value).count("must have one entry per image") == 1


@pytest.mark.parametrize("as_column", [np.array, list, lambda flags: [*flags[:-1], None]])
def test_labels_that_are_booleans_are_named_by_booleans(pixels, as_column):
    flags = [one != "good" for one in LABELS]
    images = load_images(pixels, labels=as_column(flags), normal=False)
    assert images.is_anomalous[images.labelled].sum() == sum(flags[: images.labelled.sum()])
    assert images.with_normal(np.False_).normal == ("0",)


def test_labels_beside_those_of_an_object_may_rename_and_not_contradict_them(pixels):
    data = Items(zip(pixels, LABELS, strict=True))
    renamed = load_images(data, labels=[int(one != "good") for one in LABELS])
    assert renamed.labels.tolist() == [0] * 8 + [1] * 4
    assert any("images' own are good, scratch" in note for note in renamed.notes)
    assert not any("own are" in note for note in load_images(data, labels=LABELS).notes)
    for wrong in (LABELS[::-1], ["scratch"] * 4 + ["good"] * 8):
        with pytest.raises(LabelError, match=r"Got 8 labels that differ, first at 0: scratch"):
            load_images(data, labels=wrong)
    numbered = Items(zip(pixels, range(N), strict=True))
    assert load_images(numbered, labels=[0] * 8 + [1] * 4).labels.sum() == 4  # classes joined


def test_random_items_are_refused_and_what_does_not_decode_is_quarantined(pixels):
    class Random(Items):
        def __getitem__(self, index):
            return np.random.default_rng().integers(0, 255, (8, 8), np.uint8)

    with pytest.raises(SourceError, match=r"Random\[0\].*the same each time.*augment="):
        load_images(Random(range(4)))
    images = load_images([encoded(pixels[0]), b"no image", encoded(pixels[1])], labels=[0, 1, 2])
    assert images.labels.tolist() == [0, 2]
    assert images.quarantined[0].path == "images[1]"


def test_what_comes_once_has_to_fit_in_memory(pixels):
    with pytest.raises(SourceError, match="must fit in memory"):
        load_images((one for _ in range(400) for one in pixels), memory_megabytes=0.1)


def test_masks_of_arrays_stay_with_their_images(pixels):
    masks = [None] * 8 + [np.ones((1, 16, 20), np.uint8) * 255] * 4
    images = load_images(pixels, masks=masks)
    assert [mask is not None for mask in images.masks] == [False] * 8 + [True] * 4
    assert images.masks[8].all()
    items = [
        {"image": image, "gt_label": label, "gt_mask": mask}
        for image, label, mask in zip(pixels, LABELS, masks, strict=True)
    ]
    for given in (Items(items), Elements(items)):
        read = load_images(given)
        assert [mask is not None for mask in read.masks] == [False] * 8 + [True] * 4
        assert read.masks[9].shape == (16, 20)
    items[9]["gt_mask"] = np.ones((4, 4))
    with pytest.raises(ShapeError, match=r"Items\[9\]: \(4, 4\) where its image is"):
        load_images(Items(items))
    mixed = load_images([*pixels[:8], *pixels[8:]], labels=LABELS, masks=masks)
    assert mixed.test.has_masks or mixed.calibration.has_masks


def test_estimators_get_a_row_for_each_image_or_an_error(pixels):
    assert len(as_image_set([encoded(one) for one in pixels])) == N
    with pytest.raises(ImageError, match=r"images\[1\]: every image must decode. Got 1 image"):
        as_image_set([encoded(pixels[0]), b"no image"])
    with pytest.raises(InputError, match="Got the path parts"):
        as_image_set("parts")


def test_split_divides_anew_by_labels_groups_and_what_is_normal():
    x = np.arange(400, dtype=np.uint8).reshape(100, 2, 2)
    groups = [f"g{row // 5}" for row in range(100)]
    images = load_images(x, labels=[0] * 70 + [1] * 30, groups=groups, normal=0)
    parts = images.split(calibration=0.25, test=0.25, seed=3)
    assert not parts.train.is_anomalous.any()
    assert len(parts.train) == pytest.approx(35, abs=5)
    for one in (parts.train, parts.calibration, parts.test):
        assert not set(one.groups) & set(parts.without(one).groups)
    assert (
        parts.splits.tolist() == images.split(calibration=0.25, test=0.25, seed=3).splits.tolist()
    )
    assert parts.splits.tolist() != images.split(calibration=0.25, test=0.25).splits.tolist()
    assert sum("were drawn" in note for note in parts.notes) == 1
    without = images.split(calibration=0, test=0.3)
    assert (len(without.calibration), without.test.is_anomalous.sum()) == (0, 30)
    assert without.drawn == {"train", "test"}
    again = load_images("digits").split(calibration=0.1, test=0.1)
    assert np.bincount(again.test.labels).min() >= 16
    with pytest.raises(Exception, match="leave some images for train"):
        images.split(calibration=0.5, test=0.5)


def test_floats_that_are_bytes_in_fact_are_those_bytes_again(pixels, tensors):
    """As after torchvision's ``ToTensor``: no value changes, and hashes are those of files."""
    scaled = tensors.float() / 255
    for given in (Items(scaled), list(scaled), scaled):
        images = load_images(given)
        assert images.dtype == np.uint8
        assert images.fingerprint == load_images(pixels).fingerprint
    assert load_images(list(scaled * 0.999)).dtype == np.float32


def test_a_model_of_others_takes_objects_too(pixels):
    from residua import wrap

    model = wrap(lambda x: x * 0.9, values="unit", size=pixels.shape[1:3], channels=3)
    scores = model.anomaly_scores([Image.fromarray(one) for one in pixels])
    assert np.array_equal(scores, model.anomaly_scores(pixels))
