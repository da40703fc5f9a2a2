"""The training loop: read it top to bottom.

Frame 0 is given. Each later step is fed the mask before it: the truth, or the model's
own soft prediction with a chance that rises during the run (scheduled sampling, drawn
per object and step). The gradient flows through fed-back predictions, as in the
authors' code.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hs2s_core.models import build_model
from hs2s_core.models.base import VideoSegmenter, map_tree
from hs2s_core.training.batches import Batch, ClipItems, batches
from hs2s_core.training.config import TrainingConfig
from hs2s_core.training.losses import LossWeights, step_loss
from hs2s_core.training.sources import clip_source

Log = Callable[[dict[str, Any]], None]


def train(
    config: TrainingConfig,
    out: Path,
    *,
    device: torch.device | str = "cpu",
    stop_after: int | None = None,
) -> VideoSegmenter:
    """Train, or go on from ``out/last.pt`` if it is there; returns the averaged model.

    Writes ``out/log.jsonl`` (one line a step) and ``out/last.pt`` every
    ``config.checkpoint_every`` steps. ``stop_after`` ends early, as an interruption would.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    model = build_model(config.model).to(device)
    model = model.to(memory_format=torch.channels_last)
    average: VideoSegmenter = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    checkpoint = out / "last.pt"
    step = _resume(checkpoint, model, average, optimizer) if checkpoint.exists() else 0
    items = ClipItems(clip_source(config.data), config.stages, config.data.objects, config.seed)
    last = min(config.steps, stop_after or config.steps)

    with (out / "log.jsonl").open("a") as log:
        clock = time.perf_counter()
        for batch in batches(items, step, config.data.workers):
            if step >= last:
                break
            waited = time.perf_counter() - clock
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(config, step)
            model.train()
            if step >= config.freeze_norm * config.steps:
                freeze_norms(model)
            batch = Batch(*(x.to(device) for x in batch))
            loss, terms = clip_loss(
                model, batch, config.losses, sampling(config, step), (config.seed, step)
            )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            norm = nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
            optimizer.step()
            step += 1
            update_average(average, model, min(config.average, step / (step + 10)))
            spent = time.perf_counter() - clock
            clock = time.perf_counter()
            record = {"step": step, "loss": loss.item(), "norm": norm.item(), **terms}
            record |= {"seconds": round(spent, 3), "waited": round(waited, 3)}
            log.write(json.dumps(record) + "\n")
            log.flush()
            if step % config.checkpoint_every == 0 or step == last:
                _save(checkpoint, step, model, average, optimizer)
    average.eval()
    return average


def clip_loss(
    model: VideoSegmenter,
    batch: Batch,
    weights: LossWeights,
    sampling_chance: float,
    seed: tuple[int, int],
) -> tuple[Tensor, dict[str, float]]:
    """Mean loss over the steps of a batch of clips, and its terms' means by name."""
    length, clips = batch.frames.shape[:2]
    generator = torch.Generator().manual_seed(seed[0] * 1_000_003 + seed[1])
    # What depends on the images alone is computed for all frames at once.
    everything = model.encode(batch.frames.flatten(0, 1))
    features = [
        map_tree(lambda x, t=t: x[t * clips : (t + 1) * clips], everything) for t in range(length)
    ]
    state = model.begin(features[0], batch.masks[0], batch.owner)
    mask = batch.masks[0]
    losses: list[Tensor] = []
    sums: dict[str, float] = {}
    for t in range(1, length):
        output, state = model.step(features[t], mask, state, batch.owner)
        loss, terms = step_loss(output, batch.masks[t], weights)
        losses.append(loss)
        for name, term in terms.items():
            sums[name] = sums.get(name, 0.0) + term.item() / (length - 1)
        own = torch.rand(len(batch.owner), generator=generator) < sampling_chance
        own = own.view(-1, 1, 1, 1).to(mask.device)
        mask = torch.where(own, output.logits.sigmoid(), batch.masks[t])
    return torch.stack(losses).mean(), sums


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Linear warm-up, then half a cosine down to ``final_rate`` of the highest rate."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    fall = 0.5 * (1 + math.cos(math.pi * progress))
    return config.learning_rate * (config.final_rate + (1 - config.final_rate) * fall)


def sampling(config: TrainingConfig, step: int) -> float:
    """Chance that a step is fed the model's own prediction, ramping up over the run."""
    start, end = config.sampling_start * config.steps, config.sampling_end * config.steps
    return config.sampling_top * min(1.0, max(0.0, (step - start) / max(1.0, end - start)))


def freeze_norms(model: nn.Module) -> None:
    """Batch norms use their running statistics from here on."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move ``average`` towards ``model``; buffers (batch-norm statistics) are copied."""
    for old, new in zip(average.parameters(), model.parameters(), strict=True):
        old.lerp_(new, 1 - decay)
    for kept, current in zip(average.buffers(), model.buffers(), strict=True):
        kept.copy_(current)


def _save(
    path: Path, step: int, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    state = {
        "step": step,
        "model": model.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def _resume(
    path: Path, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer
) -> int:
    state = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    average.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])
