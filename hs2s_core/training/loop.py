"""The training loop: read it top to bottom."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from hs2s_core.data.clips import LabelledVideo
from hs2s_core.errors import InvalidConfig
from hs2s_core.models import build_model
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.training.batches import ClipItems, batches
from hs2s_core.training.checkpoint import Run, load_run, save_run
from hs2s_core.training.config import TrainingConfig
from hs2s_core.training.curriculum import Curriculum
from hs2s_core.training.norms import freeze_norms
from hs2s_core.training.processes import agreed, rank, wait_for_all, world_size
from hs2s_core.training.sources import clip_source
from hs2s_core.training.unroll import Unroll
from hs2s_core.training.validation import Validation
from hs2s_core.weights import load_model

Record = dict[str, Any]


def train(
    config: TrainingConfig,
    out: Path,
    *,
    device: torch.device | str = "cpu",
    videos: Iterable[LabelledVideo] = (),
    stop_after: int | None = None,
    report: Callable[[Record], None] | None = None,
) -> VideoSegmenter:
    """Train, or go on from ``out/last.pt`` if it is there; returns the model to use.

    That is the moving average of the weights, the best one where the run validates. Writes
    ``out/log.jsonl`` (one line a step), ``out/last.pt`` every ``config.checkpoint_every`` steps
    and ``out/best.pt`` after the best validation.

    Args:
        config: the run.
        out: folder of the run; made if absent.
        device: where to train; under ``torchrun`` each process passes its own.
        videos: further labelled videos to train on, for example of a FiftyOne view.
        stop_after: end after this step, as an interruption would.
        report: called with each step's record.
    """
    if world_size() > min(stage.clips for stage in config.stages):
        raise InvalidConfig(
            f"{world_size()} processes, but a stage has only "
            f"{min(stage.clips for stage in config.stages)} clips per step; "
            "expected at least one clip per process"
        )
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    device = torch.device(device)
    going_on = (out / "last.pt").exists()
    run = _start(config, device, initialise=not going_on)
    if going_on:
        load_run(out / "last.pt", run, config)
    items = ClipItems(
        clip_source(config.data, videos),
        config.stages,
        config.data.objects,
        config.seed,
        borders=config.losses.border > 0 and config.model.border,
    )
    validation = Validation(config.validation, config.data) if config.validation else None
    unroll: nn.Module = Unroll(
        run.model,
        config.losses,
        precision=config.precision,
        checkpointing=config.checkpointing,
        detach=config.detach,
        remember=config.remember,
        references=config.references,
        chunk=config.chunk,
    )
    if world_size() > 1:
        unroll = DistributedDataParallel(unroll)
    last = min(config.steps, stop_after or config.steps)
    clock = time.perf_counter()
    for batch in batches(items, run.step, config.data.workers, rank(), world_size()):
        if run.step >= last:
            break
        waited = time.perf_counter() - clock
        settings = run.curriculum.settings(run.step)
        for group in run.optimizer.param_groups:
            group["lr"] = config.learning_rate * settings.rate * group["share"]
        run.model.train()
        if config.freeze_backbone:
            for part in run.model.backbones():
                freeze_norms(part)
        if settings.freeze:
            freeze_norms(run.model)
        # A network's own random choices are the step's: alike in every process, and on resuming.
        torch.manual_seed(_step_seed(config.seed, run.step))
        loss, terms = unroll(batch.to(device), settings.sampling)
        run.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(run.model.parameters(), config.clip_norm)
        run.optimizer.step()
        update_average(
            run.average, run.model, min(config.average, (run.step + 1) / (run.step + 11))
        )
        cost = agreed(loss.item(), device)
        run.curriculum.observe(run.step, cost)
        run.step += 1
        record: Record = {"step": run.step, "loss": cost, "norm": norm.item()}
        record |= {name: term.item() for name, term in terms.items()}
        record |= {"rate": settings.rate, "sampling": settings.sampling}
        record |= {"seconds": round(time.perf_counter() - clock, 3), "waited": round(waited, 3)}
        if validation and validation.due(run.step, config.steps):
            record["jf"] = agreed(validation.score(run.average), device)
            if run.best is None or record["jf"] > run.best:
                run.best = record["jf"]
                _write(out / "best.pt", run)
        _log(out / "log.jsonl", record, report)
        if run.step % config.checkpoint_every == 0 or run.step == last:
            _write(out / "last.pt", run)
        clock = time.perf_counter()
    wait_for_all()
    if validation and (out / "best.pt").exists():
        load_run(out / "best.pt", run, config)
    run.average.eval()
    return run.average


def _start(config: TrainingConfig, device: torch.device, initialise: bool) -> Run:
    """Model, moving average, optimizer and curriculum of step 0."""
    # A checkpoint replaces whatever the run started from, which may not be there any more.
    model = build_model(
        config.model, pretrained_backbone=config.pretrained_backbone if initialise else False
    )
    if config.start is not None and initialise:
        _load_start(model, config.start)
    if world_size() > 1 and device.type == "cuda":
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    model = model.to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(
        _parameter_groups(model, config.backbone_rate),
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
    )
    average = copy.deepcopy(model).requires_grad_(False)
    return Run(model, average, optimizer, Curriculum(config.schedule, config.steps))


def _parameter_groups(model: VideoSegmenter, backbone_rate: float) -> list[dict[str, Any]]:
    """All parameters, and each group's ``share`` of the learning rate."""
    backbone = {id(p) for part in model.backbones() for p in part.parameters()}
    rest = [p for p in model.parameters() if id(p) not in backbone]
    groups = [{"params": rest, "share": 1.0}]
    if backbone:
        own = [p for p in model.parameters() if id(p) in backbone]
        groups.append({"params": own, "share": backbone_rate})
    return groups


def _load_start(model: VideoSegmenter, start: str) -> None:
    weights = load_model(start, device="cpu")
    if weights.config != model.config:
        raise InvalidConfig(
            f"the weights to start from ({start}) are of another model ({weights.config}), "
            f"expected {model.config}. Set [model] to theirs, or start without them"
        )
    model.load_state_dict(weights.state_dict())


def _step_seed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence((seed, step)).generate_state(1)[0])


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move ``average`` towards ``model``; buffers (batch-norm statistics) are copied."""
    for old, new in zip(average.parameters(), model.parameters(), strict=True):
        old.lerp_(new, 1 - decay)
    for kept, current in zip(average.buffers(), model.buffers(), strict=True):
        kept.copy_(current)


def _log(path: Path, record: Record, report: Callable[[Record], None] | None) -> None:
    if rank() == 0:
        with path.open("a") as log:
            log.write(json.dumps(record) + "\n")
        if report is not None:
            report(record)


def _write(path: Path, run: Run) -> None:
    if rank() == 0:
        save_run(path, run)
