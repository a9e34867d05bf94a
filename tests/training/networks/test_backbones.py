"""Backbones that come by a file, from timm, from Hugging Face and as modules: what they see is right,
or they are refused."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from residua import OneClassDetector
from residua._files import sha256
from residua.errors import BundleError, InputError
from residua.training.networks import ImageShape, backbones
from residua.training.networks.backbones import (
    IMAGENET,
    PLAIN,
    Values,
    build_backbone,
    fetch_weights,
    named_backbone,
    register_backbone,
    values_of,
)
from residua.training.networks.feature import FeatureMaps
from residua.training.networks.local_weights import load_local
from residua.training.networks.maps import feature_maps, take_size
from residua.training.recipes import make_recipe
from training_wing import blobs

SIZE = (28, 42)


class Whole(nn.Module):
    """A network as its weights are published, with a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4))
        self.fc = nn.Linear(4, 10)


class Features(nn.Module):
    """The same without its head, its layers named as timm names those that it takes apart."""

    def __init__(self) -> None:
        super().__init__()
        self.stem_0, self.stem_1 = nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4)

    def forward(self, images):
        return [self.stem_1(self.stem_0(images))]


class Tokens(nn.Module):
    """A transformer of patches with a class token and four registers, as Hugging Face has them."""

    def __init__(self, patch: int = 14) -> None:
        super().__init__()
        self.config = SimpleNamespace(patch_size=patch, num_register_tokens=4)
        self.patches = nn.Conv2d(3, 8, patch, patch)

    def forward(self, pixel_values, interpolate_pos_encoding=False):
        assert interpolate_pos_encoding
        seen = self.patches(pixel_values).flatten(2).transpose(1, 2)
        front = torch.full_like(seen[:, :1], 99.0).expand(-1, 5, -1)
        return SimpleNamespace(last_hidden_state=torch.cat([front, seen], 1))


@pytest.fixture
def published(tmp_path):
    torch.manual_seed(0)
    whole = Whole()
    save_file(whole.state_dict(), tmp_path / "net.safetensors")
    return whole, tmp_path / "net.safetensors"


@pytest.fixture
def timm(monkeypatch):
    asked = []

    def create_model(name, *, pretrained, features_only):
        asked.append((name, pretrained, features_only))
        return Features()

    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model))
    return asked


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr(backbones, "_REGISTERED", dict(backbones._REGISTERED))
    return backbones._REGISTERED


def test_local_weights_are_loaded_by_the_names_they_are_published_under_and_leave_a_hash(
    published, timm, tmp_path
):
    whole, path = published
    name = f"timm:some-net@{path}"
    network = build_backbone(name, pretrained=False)
    fetch_weights(network, name)
    assert timm == [("some-net", False, True)] * 2  # nothing was fetched
    assert torch.equal(network.stem_0.weight, whole.stem[0].weight)
    assert network.weights_sha256 == sha256(path)
    torch.save({"state_dict": whole.state_dict(), "epoch": 3}, tmp_path / "net.pth")
    other = Features()
    assert load_local(other, tmp_path / "net.pth", "x") == sha256(tmp_path / "net.pth")
    assert torch.equal(other.stem_0.weight, whole.stem[0].weight)


def test_local_weights_that_do_not_fit_are_refused_with_every_fault_and_nothing_is_loaded(
    published,
):
    whole, path = published
    state = whole.state_dict()
    del state["stem.1.bias"], state["stem.1.num_batches_tracked"]
    state["stem.0.weight"] = torch.zeros(4, 3, 5, 5)
    state["blocks.0.weight"] = torch.zeros(1)
    save_file(state, path)
    network = Features()
    before = network.stem_0.bias.clone()
    with pytest.raises(InputError) as refusal:
        load_local(network, path, "timm:some-net@net.safetensors")
    told = str(refusal.value)
    assert "1 missing: stem_1.bias" in told
    assert "stem.0.weight (4, 3, 5, 5) instead of (4, 3, 3, 3)" in told
    assert "1 too many: blocks.0.weight" in told and "fc.weight" not in told
    assert torch.equal(network.stem_0.bias, before)


class Runs:
    def __reduce__(self):
        return print, ("this must never run",)


def test_a_file_that_is_no_weights_is_refused_and_never_run(tmp_path, capsys):
    torch.save({"stem.0.weight": Runs()}, tmp_path / "code.pth")
    (tmp_path / "torn.safetensors").write_bytes(b"\x00" * 40)
    torch.save([1, 2], tmp_path / "list.pt")
    for name, said in (
        ("code.pth", "without code in it"),
        ("torn.safetensors", "readable file of weights"),
        ("list.pt", "a state dictionary"),
        ("absent.pth", "No such file"),
        ("net.onnx", r"ends in \.safetensors"),
    ):
        with pytest.raises(InputError, match=rf"backbone timm:x.*{said}"):
            load_local(Features(), tmp_path / name, "timm:x")
    assert "must never run" not in capsys.readouterr().out


def test_a_fit_stores_the_hash_and_its_bundle_needs_no_file(published, timm, tmp_path):
    _, path = published
    digest = sha256(path)
    recipe = make_recipe("memory", backbone=f"timm:some-net@{path}", size=20)
    fitted = OneClassDetector(recipe, size=32, seed=0).fit(blobs(30))
    assert fitted.bundle_.config.training.backbone_sha256 == digest
    fitted.save(tmp_path / "run")
    path.unlink()
    again = OneClassDetector.load(tmp_path / "run")
    images = blobs(5, seed=3)
    assert np.array_equal(again.anomaly_scores(images), fitted.anomaly_scores(images))


def test_tokens_become_maps_without_those_in_front():
    grid = torch.arange(6.0).view(1, 1, 2, 3).expand(2, 5, 2, 3)
    tokens = torch.cat([torch.full((2, 1, 5), -1.0), grid.flatten(2).transpose(1, 2)], 1)
    assert torch.equal(feature_maps(SimpleNamespace(last_hidden_state=tokens), *SIZE)[0], grid)
    assert torch.equal(feature_maps(grid, *SIZE)[0], grid)
    vit = torch.rand(1, 1 + 14 * 14, 8)
    assert feature_maps(vit, 224, 224)[0].shape == (1, 8, 14, 14)
    with pytest.raises(InputError, match="square patches"):
        feature_maps(torch.rand(1, 60, 8), 8, 56)
    with pytest.raises(InputError, match="Got str"):
        feature_maps("logits", 8, 8)
    with pytest.raises(InputError, match=r"Got \(1, 10\)"):
        feature_maps(torch.rand(1, 10), 8, 8)


def test_patches_that_are_known_are_not_guessed_and_sides_are_rounded_to_them():
    # Nine tokens of 28 x 28 pixels: by number a grid of 3 x 3, in truth five in front of 2 x 2.
    tokens = torch.arange(9.0).view(1, 9, 1)
    assert feature_maps(tokens, 28, 28)[0].shape[2:] == (3, 3)
    known = feature_maps(tokens, 28, 28, (14, 14))[0]
    assert known.flatten().tolist() == [5.0, 6.0, 7.0, 8.0]
    network = FeatureMaps(Tokens(), ImageShape(64, 100, 1))
    assert (network.seen, network.grid) == ((70, 98), (5, 7))
    seen = network.targets(torch.rand(2, 1, 64, 100))
    assert seen.shape == (2, 8, 5, 7)
    assert not (seen == 99).any()
    assert FeatureMaps(Tokens(16), ImageShape(64, 100, 1)).seen == (64, 96)
    with pytest.raises(InputError, match="tokens for 28x28 pixels"):
        feature_maps(torch.rand(1, 3, 8), 28, 28, (14, 14))


def test_a_backbone_of_one_size_is_asked_to_take_that_of_the_images_before_it_takes_weights(
    monkeypatch,
):
    class Inner(nn.Module):
        def __init__(self, side: int = 2) -> None:
            super().__init__()
            self.patch_embed = SimpleNamespace(patch_size=(16, 16))
            self.positions = nn.Parameter(torch.zeros(1, side * side, 1))

        def set_input_size(self, img_size):
            rows, columns = (side // 16 for side in img_size)
            start = self.positions.detach().mean().expand(1, rows * columns, 1)
            self.positions = nn.Parameter(start.clone())

    class Getter(nn.Module):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.model = Inner()
            nn.init.constant_(self.model.positions, value)

        def forward(self, images):
            rows, columns = images.shape[2] // 16, images.shape[3] // 16
            return [self.model.positions.transpose(1, 2).unflatten(2, (rows, columns))]

    def create_model(name, *, pretrained, features_only):
        return Getter(7.0 if pretrained else 0.0)

    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model))
    network = FeatureMaps(build_backbone("timm:vit", pretrained=False), ImageShape(50, 60, 3))
    assert network.seen == (48, 64)
    fetch_weights(network.backbone, "timm:vit")
    assert network.targets(torch.rand(1, 3, 50, 60)).unique().tolist() == [7.0]


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_positions_that_are_interpolated_are_constants_of_a_trace():
    class Embeddings(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.position_embeddings = nn.Parameter(torch.randn(1, 1 + 4, 8))

        def interpolate_pos_encoding(self, embeddings, height, width):
            assert not torch.jit.is_tracing()
            front, grid = self.position_embeddings[:, :1], self.position_embeddings[:, 1:]
            grid = grid.transpose(1, 2).unflatten(2, (2, 2))
            grid = nn.functional.interpolate(grid, (height // 14, width // 14), mode="bicubic")
            return torch.cat([front, grid.flatten(2).transpose(1, 2)], 1)

    class Placed(Tokens):
        def __init__(self) -> None:
            super().__init__()
            self.embeddings = Embeddings()

        def forward(self, pixel_values, interpolate_pos_encoding=False):
            output = super().forward(pixel_values, interpolate_pos_encoding)
            height, width = pixel_values.shape[-2:]
            tokens = output.last_hidden_state
            placed = self.embeddings.interpolate_pos_encoding(tokens, height, width)
            tokens = torch.cat([tokens[:, :5], tokens[:, 5:] + placed[:, 1:]], 1)
            return SimpleNamespace(last_hidden_state=tokens)

    class Seen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.maps = FeatureMaps(Placed(), ImageShape(30, 45, 3))

        def forward(self, images):
            return self.maps.targets(images)

    network, images = Seen().eval(), torch.rand(3, 3, 30, 45)
    traced = torch.jit.trace(network, images[:2])
    assert network(images).shape == (3, 8, 2, 3)
    torch.testing.assert_close(traced(images), network(images))
    nn.init.zeros_(network.maps.backbone.embeddings.position_embeddings)
    assert not torch.allclose(traced(images), network(images))  # of the weights that it has now


def test_a_size_that_a_backbone_does_not_take_is_told_with_the_option_that_sets_it():
    class Fixed(nn.Module):
        def forward(self, images):
            assert images.shape[-1] == 224, "Input width (64) doesn't match model (224)."
            return images

    with pytest.raises(InputError, match=r"take images of 64x64.*match model.*option side"):
        FeatureMaps(Fixed(), ImageShape(64, 64, 3))
    assert FeatureMaps(Fixed(), ImageShape(64, 64, 3), side=224).seen == (224, 224)


def test_maps_whose_channels_come_last_are_turned():
    class Last(nn.Module):
        output_fmt = SimpleNamespace(value="NHWC")

        def forward(self, images):
            return [images.permute(0, 2, 3, 1)]

    assert FeatureMaps(Last(), ImageShape(16, 24, 3)).channels == [3]


def hugging_face(monkeypatch, stated, missing=()):
    asked = []

    def from_pretrained(name, **options):
        asked.append((name, options))
        return Tokens(), {"missing_keys": list(missing)}

    def processor(source):
        if stated is None:
            raise OSError(f"{source} does not appear to have a file named preprocessor_config.json")
        return stated, {}

    fake = SimpleNamespace(
        AutoModel=SimpleNamespace(
            from_pretrained=from_pretrained, from_config=lambda said: asked.append(said) or Tokens()
        ),
        AutoConfig=SimpleNamespace(from_pretrained=lambda name: f"config of {name}"),
        ImageProcessingMixin=SimpleNamespace(get_image_processor_dict=processor),
    )
    monkeypatch.setitem(sys.modules, "transformers", fake)
    return asked


def test_hugging_face_is_asked_for_safetensors_and_for_the_architecture_alone_without_weights(
    monkeypatch, tmp_path, published
):
    asked = hugging_face(monkeypatch, None)
    build_backbone("huggingface:some/net", pretrained=True)
    build_backbone("huggingface:some/net", pretrained=False)
    options = {"use_safetensors": True, "output_loading_info": True}
    assert asked == [("some/net", options), "config of some/net"]
    asked.clear()
    local = build_backbone(f"huggingface:some/net@{tmp_path}", pretrained=True)
    build_backbone(f"huggingface:some/net@{tmp_path}", pretrained=False)
    build_backbone(f"huggingface:some/net@{tmp_path}/absent", pretrained=False)
    assert asked == [(str(tmp_path), options), f"config of {tmp_path}", "config of some/net"]
    assert len(local.weights_sha256) == 64
    hugging_face(monkeypatch, None, missing=["layer.0.weight", "pooler.dense.weight"])
    with pytest.raises(InputError, match=r"1 weights are missing, layer\.0\.weight"):
        build_backbone("huggingface:some/net", pretrained=True)


@pytest.mark.parametrize(
    ("stated", "values"),
    [
        (None, IMAGENET),
        ({"image_mean": [0.5] * 3, "image_std": [0.25] * 3}, ((0.5,) * 3, (0.25,) * 3)),
        ({"do_normalize": False, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}, PLAIN),
        (
            {"rescale_factor": 1 / 127.5, "image_mean": [1.0] * 3, "image_std": [1.0] * 3},
            ((0.5,) * 3, (0.5,) * 3),
        ),
    ],
)
def test_the_values_of_a_hugging_face_model_are_those_of_its_image_processor(
    monkeypatch, stated, values
):
    hugging_face(monkeypatch, stated)
    network = build_backbone("huggingface:some/net", pretrained=False)
    found = values_of("huggingface:some/net", network)
    np.testing.assert_allclose(found, values)


def test_what_a_backbone_is_given_is_told(registry):
    register_backbone("mine", nn.Conv2d(3, 4, 3, 2, 1), values=None)
    recipe, shape = make_recipe("memory", backbone="mine"), ImageShape(32, 32, 1)
    assert "given values in [0, 1]" in recipe.describe(recipe.build_network(shape))
    register_backbone("mine", nn.Conv2d(3, 4, 3, 2, 1))
    assert "given ImageNet's values" in recipe.describe(recipe.build_network(shape))
    register_backbone("mine", nn.Conv2d(3, 4, 3, 2, 1), values=Values((0.5,) * 3, (0.25,) * 3))
    assert "less 0.5, 0.5, 0.5, divided by 0.25" in recipe.describe(recipe.build_network(shape))


def test_a_module_is_a_backbone_under_a_name_of_its_own_that_a_bundle_asks_for(registry, tmp_path):
    torch.manual_seed(0)
    module, other = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(3, 8, 3, 2, 1)
    images = blobs(30)
    fitted = OneClassDetector(backbone=module, size=32, seed=0).fit(images)
    config = fitted.bundle_.config
    name = config.recipe_options["backbone"]
    assert (config.recipe, name.split("-")[0]) == ("memory", "Conv2d")
    assert name == named_backbone(module) == make_recipe("feature", backbone=module).backbone
    assert name != named_backbone(other)
    scores = fitted.anomaly_scores(images)
    recipe = make_recipe("memory", size=20)
    small = OneClassDetector(recipe, backbone=module, size=32, seed=0).fit(images).bundle_.config
    assert small.recipe_options["size"] == 20 and small.recipe_options["backbone"] == name
    fitted.save(tmp_path / "run")
    del registry[name]
    with pytest.raises(BundleError, match=rf"register_backbone\('{name}', factory\) first"):
        OneClassDetector.load(tmp_path / "run")
    register_backbone(name, other)  # the architecture is enough: the weights come from the bundle
    again = OneClassDetector.load(tmp_path / "run")
    assert np.array_equal(again.anomaly_scores(images), scores)
    with pytest.raises(InputError, match="option backbone: must be one that it takes"):
        OneClassDetector(make_recipe("plain"), backbone=module).fit(images)


TRANSFORMERS = {
    "Dinov2": {"patch_size": 14},
    "Dinov2WithRegisters": {"patch_size": 14},
    "DINOv3ViT": {"patch_size": 16, "num_register_tokens": 4},
    "ViT": {"patch_size": 16},
}


@pytest.mark.parametrize("family", TRANSFORMERS)
def test_transformers_of_hugging_face_give_maps_of_images_that_are_not_square(family, tmp_path):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=56 if TRANSFORMERS[family]["patch_size"] == 14 else 64,
        **TRANSFORMERS[family],
    )
    getattr(transformers, f"{family}Model")(config).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(
        '{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}'
    )
    name = f"huggingface:some/net@{tmp_path}"
    recipe = make_recipe("memory", backbone=name)
    network = recipe.build_network(ImageShape(64, 100, 3))
    recipe.load_pretrained(network)
    patch = config.patch_size
    assert network.grid == (round(64 / patch), round(100 / patch))
    assert network.deviation.flatten().tolist() == [0.25] * 3
    images = torch.rand(1, 3, *network.seen)
    wanted = (images - 0.5) / 0.25
    options = {"interpolate_pos_encoding": True} if family == "ViT" else {}
    with torch.no_grad():
        whole = transformers.AutoModel.from_pretrained(tmp_path).eval()(wanted, **options)
    network.shape = ImageShape(*network.seen, 3)
    tokens = network.targets(images).flatten(2).transpose(1, 2)
    n_front = 1 + getattr(config, "num_register_tokens", 0)
    torch.testing.assert_close(tokens, whole.last_hidden_state[:, n_front:])


def test_transformers_of_timm_take_the_size_of_the_images_and_weights_of_a_file(tmp_path):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    model = "test_vit"
    save_file(timm.create_model(model).state_dict(), tmp_path / "net.safetensors")
    name = f"timm:{model}@{tmp_path}/net.safetensors"
    network = FeatureMaps(build_backbone(name, pretrained=False), ImageShape(100, 64, 3))
    fetch_weights(network.backbone, name)
    patch = network.backbone.model.patch_embed.patch_size[0]
    assert network.grid == (round(100 / patch), round(64 / patch))
    fixed = build_backbone(name, pretrained=True)
    take_size(fixed, 100, 64)
    images = torch.rand(1, 3, *network.seen)
    network.shape = ImageShape(*network.seen, 3)
    with torch.no_grad():
        wanted = torch.cat([fixed.eval()((images - network.mean) / network.deviation)[0]], 1)
    torch.testing.assert_close(network.targets(images)[:, : wanted.shape[1]], wanted)
