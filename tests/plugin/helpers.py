"""A network whose answer is known, and masks, labels and samples in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import fiftyone as fo
import numpy as np
import torch
from torch import Tensor, nn

from hs2s_core.models import build_model
from hs2s_core.models.base import State, StepOutput, VideoSegmenter
from hs2s_core.models.presets import preset
from hs2s_fiftyone.labels.conversion import LabelField
from hs2s_fiftyone.labels.prompts import VideoPrompts, read_prompts
from tests import shapes

SIZE = (64, 96)
"""(H, W) of the test videos, and of the network's input: nothing gets resized."""


class CopyNetwork(VideoSegmenter):
    """Each mask stays where it was; frames are looked at only to fail on a white one."""

    stride = 1

    def __init__(self) -> None:
        super().__init__()
        self.config = replace(preset("hs2s-lite"), input_size=SIZE, keep_aspect=False)
        self.sure = nn.Parameter(torch.tensor(8.0))

    def encode(self, frame: Tensor) -> Tensor:
        if frame.min() > 2:  # normalised white
            raise RuntimeError("out of memory, says the test")
        return frame

    def begin(self, features: Tensor, mask: Tensor, owner: Tensor) -> State:
        return State(features, mask)

    def step(
        self, features: Tensor, mask: Tensor, state: State, owner: Tensor
    ) -> tuple[StepOutput, State]:
        return StepOutput((state.objects - 0.5) * self.sure), state._replace(previous=features)


def write_noise(path: Path, frames: int = 5, size: tuple[int, int] = SIZE, white: int = -1) -> str:
    """Write a video of noise; ``white`` is the index of a frame that is all white."""
    noise = np.random.default_rng(0)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, size[::-1])
    for index in range(frames):
        image = noise.integers(0, 120, (*size, 3), dtype=np.uint8)
        writer.write(np.full_like(image, 255) if index == white else image)
    writer.release()
    return str(path)


def write_shots(path: Path) -> None:
    """Write a video of two shots of six frames, of one colour each."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, SIZE[::-1])
    for colour in [(200, 40, 40)] * 6 + [(40, 40, 200)] * 6:
        writer.write(np.full((*SIZE, 3), colour, np.uint8))
    writer.release()


def square(top: int, left: int, side: int = 16, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A mask (H, W) bool of one square."""
    return shapes.square(top, left, side, size)


def detection(mask: np.ndarray, **fields: object) -> fo.Detection:
    """A Detection of a mask (H, W) over the whole frame."""
    return fo.Detection.from_mask(mask, **fields)


def frame_masks(label: fo.Label | None, size: tuple[int, int]) -> dict[int, np.ndarray]:
    """Masks (H, W) of one frame's label by index; labels without one or a mask are left out."""
    masks: dict[int, np.ndarray] = {}
    if label is not None:
        document = {"label": label.to_dict()}
        for part in LabelField("label", type(label)).parts(document, size, "the frame"):
            if part.mark.index is not None and part.mask is not None:
                masks[part.mark.index] = part.mask | masks.get(part.mark.index, False)
    return masks


def lock(dataset: fo.Dataset, name: str) -> None:
    """Make a frame field read-only."""
    field = dataset.get_field(f"frames.{name}")
    field.read_only = True
    field.save()


def video_sample(path: str, frames: dict[int, fo.Label], field: str = "truth") -> fo.Sample:
    """A sample with labels on some frames (numbers from 1), and metadata if it is a video."""
    sample = fo.Sample(filepath=path, metadata=metadata_of(path))
    for number, label in frames.items():
        sample.frames[number] = fo.Frame(**{field: label})
    return sample


def metadata_of(path: str) -> fo.VideoMetadata | None:
    """As FiftyOne's, without starting its program for them; None for what is no video."""
    video = cv2.VideoCapture(path)
    if not video.isOpened():
        return None
    return fo.VideoMetadata(
        total_frame_count=int(video.get(cv2.CAP_PROP_FRAME_COUNT)),
        frame_rate=video.get(cv2.CAP_PROP_FPS),
        frame_width=int(video.get(cv2.CAP_PROP_FRAME_WIDTH)),
        frame_height=int(video.get(cv2.CAP_PROP_FRAME_HEIGHT)),
    )


def tiny_network() -> VideoSegmenter:
    """A real network of few layers and random weights, small enough to save and run at once."""
    torch.manual_seed(0)
    small = {"encoder": "small", "width": 16, "input_size": SIZE, "keep_aspect": False}
    config = replace(preset("hs2s-lite"), **small)
    return build_model(config)


def prompts_of(
    dataset: fo.Dataset, frames: dict[int, fo.Label], policy: str = "all"
) -> VideoPrompts:
    """Store labels in a new video sample of ``dataset``, and read its prompts back."""
    dataset.add_sample(video_sample("/nowhere/clip.mp4", frames))
    return read_prompts(dataset.last(), "truth", SIZE, policy=policy)
