"""A clip through a network's graphs, as ``torch.export`` and ONNX, beside propagation."""

from __future__ import annotations

import dataclasses
import runpy
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from hs2s_core.cli import main
from hs2s_core.errors import HS2SError
from hs2s_core.media.encode import VideoWriter
from hs2s_core.media.frames import open_frames
from hs2s_core.models import VideoSegmenter, build_model
from hs2s_core.models.export import export_graphs, export_onnx
from hs2s_core.propagation.network import NetworkEngine
from hs2s_core.weights import save_weights

from .tiny import tiny

SIZE = (64, 96)
EXAMPLE = Path(__file__).resolve().parents[2] / "examples/onnx_video.py"


def small(name: str) -> VideoSegmenter:
    """Untrained, and never larger than a frame of :data:`SIZE`."""
    torch.manual_seed(0)
    return build_model(dataclasses.replace(tiny(name), input_size=SIZE, keep_aspect=False)).eval()


def clip(length: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Noise that moves to the right, and a mask of its first frame."""
    noise = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    wide = cv2.resize(noise, SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    mask = np.zeros(SIZE, bool)
    mask[16:48, 24:64] = True
    return [np.roll(wide, 2 * place, axis=1) for place in range(length)], mask


def followed(model: VideoSegmenter, frames: list[np.ndarray], mask: np.ndarray) -> list[np.ndarray]:
    """Probabilities in every frame but the first, as propagation has them."""
    engine = NetworkEngine(model)
    engine.step(frames[0], {1: mask})
    logits = [engine.step(frame, {}).logits for frame in frames[1:]]
    return [each[0].sigmoid().numpy() for each in logits if each is not None]


@pytest.mark.parametrize("name", ["hs2s-lite", "s2s-lite"])
def test_graphs_say_what_the_network_says(name: str) -> None:
    """Also the second step, which shows that the state that comes out fits what goes in."""
    model, (frames, mask) = small(name), clip(3)
    graphs = export_graphs(model, SIZE)
    begin, step = graphs.begin.module(), graphs.step.module()
    soft = torch.from_numpy(mask[None, None].astype(np.float32))
    state = begin(torch.from_numpy(frames[0]), soft)
    for frame, expected in zip(frames[1:], followed(model, frames, mask), strict=True):
        soft, *state = step(torch.from_numpy(frame), soft, tuple(state))
        np.testing.assert_allclose(soft[0, 0].numpy(), expected, atol=1e-4)


def test_what_cannot_be_exported() -> None:
    with pytest.raises(HS2SError, match="sees frames ahead"):
        export_graphs(small("bi-hs2s"), SIZE)
    with pytest.raises(HS2SError, match="objects is 0"):
        export_graphs(small("hs2s-lite"), SIZE, objects=0)


def test_onnx_without_its_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(HS2SError, match=r"ONNX needs onnxscript.*hs2s-fiftyone\[onnx\]"):
        export_onnx(small("hs2s-lite"), tmp_path, SIZE)


def test_a_video_through_onnx_without_torch(tmp_path: Path) -> None:
    """The example says, in a process that cannot import torch, what propagation says."""
    model, (frames, mask) = small("hs2s-lite"), clip(4)
    save_weights(model, tmp_path / "w.safetensors", {"name": "tiny, untrained"})
    graphs, video, first = tmp_path / "graphs", tmp_path / "clip.mp4", tmp_path / "first.png"
    words = ["weights", "onnx", tmp_path / "w.safetensors", graphs, "--frame", "96x64"]
    assert main(list(map(str, words))) == 0
    with VideoWriter(video, SIZE, 10) as writer:
        for frame in frames:
            writer.write(frame)
    cv2.imwrite(str(first), np.uint8(mask) * 255)
    subprocess.run(
        [sys.executable, "-c", _WITHOUT_TORCH, EXAMPLE, graphs, video, first, tmp_path / "out"],
        check=True,
    )
    expected = [mask, *(each > 0.5 for each in followed(model, list(open_frames(video)), mask))]
    found = [cv2.imread(str(path))[..., 0] > 0 for path in sorted((tmp_path / "out").iterdir())]
    assert len(found) == len(frames)
    for one, other in zip(found, expected, strict=True):
        assert np.mean(one != other) < 0.002  # where a probability is 0.5 up to rounding


@pytest.mark.parametrize("wrong", ["clip.mp4", "first.png", "out"])
def test_the_example_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    example = runpy.run_path(str(EXAMPLE))["main"]
    with VideoWriter(tmp_path / "clip.mp4", SIZE, 10) as writer:
        writer.write(np.zeros((*SIZE, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "first.png"), np.zeros((4, 4), np.uint8))
    if wrong == "out":
        (tmp_path / "out").touch()
    else:
        (tmp_path / wrong).unlink()
    with pytest.raises(SystemExit) as stopped:
        example([str(tmp_path / name) for name in ("graphs", "clip.mp4", "first.png", "out")])
    assert stopped.value.code == 2
    assert f"{tmp_path / wrong}: " in capsys.readouterr().err


_WITHOUT_TORCH = """
import runpy, sys
sys.modules["torch"] = None
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""
