"""The training loop: read it top to bottom."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from hs2s_core.data.clips import LabelledVideo
from hs2s_core.devices import is_out_of_memory
from hs2s_core.errors import HS2SError, InvalidConfig
from hs2s_core.files import alone
from hs2s_core.jobs import drive
from hs2s_core.jobs.meters import Record
from hs2s_core.jobs.stopping import Stopped, stop_requests
from hs2s_core.models import build_model
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.models.config import INFERENCE_SETTINGS
from hs2s_core.training.batches import Batch, ClipItems, batches
from hs2s_core.training.config import TrainingConfig
from hs2s_core.training.curriculum import Curriculum, StepSettings
from hs2s_core.training.curve import step_meter
from hs2s_core.training.norms import freeze_norms
from hs2s_core.training.processes import agreed, rank, wait_for_all, world_size
from hs2s_core.training.run_folder import BUSY, Run, cut_log, is_finite, load_run, save_run
from hs2s_core.training.sources import clip_source, set_apart
from hs2s_core.training.unroll import Unroll
from hs2s_core.training.validation import Validation
from hs2s_core.weights import load_model
from hs2s_core.wording import counted


def train(
    config: TrainingConfig,
    out: Path,
    *,
    device: torch.device | str = "cpu",
    report: Callable[[Record], None] | None = None,
    videos: Iterable[LabelledVideo] = (),
    stop_after: int | None = None,
) -> VideoSegmenter:
    """Train, or go on from ``out/last.pt`` if it is there; returns the model to use.

    That is the moving average of the weights, the best one where the run validates. Writes
    ``out/log.jsonl`` (one line a step), ``out/last.pt`` every ``config.checkpoint_minutes`` and
    ``out/best.pt`` after the best validation.

    Args:
        config: the run.
        out: folder of the run; made if absent.
        device: where to train; under ``torchrun`` each process passes its own.
        report: called with each step's record; by default they are shown, in a notebook as a curve
            that grows, else on standard error.
        videos: further labelled videos to train on, for example of a FiftyOne view.
        stop_after: end after this step, as an interruption would.

    Raises:
        HS2SError: nothing can be trained on or scored as the config says; another process trains in
            ``out``; it cannot be written to; or the loss is no longer finite. The last finite state
            is in ``out/last.pt`` then.
        Stopped: a signal asked to stop, and the run was saved.
    """
    steps = train_steps(config, out, device=device, videos=videos, stop_after=stop_after)
    return drive(steps, (report or step_meter(config.steps)) if rank() == 0 else None)


def train_steps(
    config: TrainingConfig,
    out: Path,
    *,
    device: torch.device | str = "cpu",
    videos: Iterable[LabelledVideo] = (),
    stop_after: int | None = None,
) -> Generator[Record, None, VideoSegmenter]:
    """Like :func:`train`, step by step: yields each step's record once it is in the log."""
    check_processes(config)
    with alone(out, BUSY) if rank() == 0 else nullcontext():
        return (yield from _steps(config, out, torch.device(device), videos, stop_after))


def _steps(
    config: TrainingConfig,
    out: Path,
    device: torch.device,
    videos: Iterable[LabelledVideo],
    stop_after: int | None,
) -> Generator[Record, None, VideoSegmenter]:
    """The steps of a run that nobody else trains."""
    training, scored = set_apart(config.data, config.validation)
    source = clip_source(training, videos, config.stages)
    validation = Validation(scored, training) if scored else None
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    run = _begin_or_go_on(config, out, device)
    items = ClipItems(
        source,
        config.stages,
        config.data.objects,
        config.seed,
        borders=config.losses.border > 0 and config.model.border,
    )
    unroll: nn.Module = Unroll(run.model, config.losses, config)
    if world_size() > 1:
        unroll = DistributedDataParallel(unroll)
    last = min(config.steps, stop_after or config.steps)
    pinned, saved = device.type == "cuda", time.monotonic()
    clock = time.perf_counter()
    with stop_requests() as request:
        for batch in batches(
            items, run.step, config.data.workers, rank(), world_size(), pinned=pinned
        ):
            if run.step >= last:
                break
            waited = time.perf_counter() - clock
            settings = _set_up_step(config, run)
            try:
                loss, terms = unroll(batch.to(device), settings.sampling)
                run.optimizer.zero_grad(set_to_none=True)
                loss.backward()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                raise _too_large(out, run, batch, device) from error
            norm = nn.utils.clip_grad_norm_(run.model.parameters(), config.clip_norm)
            cost, length, signal = agreed(device, loss.item(), norm.item(), request.number)
            if not (math.isfinite(cost) and math.isfinite(length)):
                raise _diverged(out, run, f"the loss is {cost}, its gradient {length}")
            run.optimizer.step()
            update_average(
                run.average, run.model, min(config.average, (run.step + 1) / (run.step + 11))
            )
            run.curriculum.observe(run.step, cost)
            run.step += 1
            record: Record = {"step": run.step, "loss": cost, "norm": length}
            record |= {name: term.item() for name, term in terms.items()}
            record |= {"rate": settings.rate, "sampling": settings.sampling}
            record |= {"seconds": round(time.perf_counter() - clock, 3), "waited": round(waited, 3)}
            if validation and validation.due(run.step, config.steps):
                # Which may take minutes, in which somebody asks to stop.
                try:
                    jf = validation.score(run.average)
                except KeyboardInterrupt:  # asked twice: the step is saved, without a score
                    jf = math.nan
                jf, signal = agreed(device, jf, request.number)
                if not math.isnan(jf):
                    record["jf"] = jf
                    if run.best is None or jf > run.best:
                        run.best = jf
                        _write(out / "best.pt", run)
            if rank() == 0:
                with (out / "log.jsonl").open("a") as log:
                    log.write(json.dumps(record) + "\n")
            yield record
            due = time.monotonic() - saved >= 60 * config.checkpoint_minutes
            if due or signal or run.step == last:
                _write(out / "last.pt", run)
                saved = time.monotonic()
            if signal and run.step < last:
                raise Stopped(
                    f"stopped after step {run.step} of {config.steps}, which is saved in "
                    f"{out / 'last.pt'}; the same command goes on from there",
                    int(signal),
                )
            clock = time.perf_counter()
    wait_for_all()
    if validation and (out / "best.pt").exists():
        load_run(out / "best.pt", run, config)
    run.average.eval()
    return run.average


def check_processes(config: TrainingConfig) -> None:
    """Refuse more processes than a step has clips."""
    fewest = min(stage.clips for stage in config.stages)
    if world_size() > fewest:
        raise InvalidConfig(
            f"{world_size()} processes, but a stage has only {counted(fewest, 'clip')} per step; "
            "expected at least one clip per process"
        )


def _begin_or_go_on(config: TrainingConfig, out: Path, device: torch.device) -> Run:
    """The run of ``out``, its log cut to what its checkpoint has; a new one where there is none."""
    going_on = (out / "last.pt").exists()
    run = _start(config, device, initialise=not going_on)
    if going_on:
        load_run(out / "last.pt", run, config)
    if rank() == 0:
        cut_log(out / "log.jsonl", run.step)
    return run


def _set_up_step(config: TrainingConfig, run: Run) -> StepSettings:
    """Learning rates, modes and random numbers of the step to come, and what else steers it."""
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
    (seed,) = np.random.SeedSequence((config.seed, run.step)).generate_state(1)
    torch.manual_seed(int(seed))
    return settings


def _diverged(out: Path, run: Run, what: str) -> HS2SError:
    """What to raise where a run cannot go on; its weights are saved if they are finite."""
    if is_finite(run):
        _write(out / "last.pt", run)
    kept = f"{out / 'last.pt'} holds" if (out / "last.pt").exists() else "no checkpoint has"
    return HS2SError(
        f"after step {run.step} {what}, so training cannot go on; {kept} the last finite weights. "
        "Lower learning_rate or clip_norm, or use precision float32, and start anew"
    )


def _too_large(out: Path, run: Run, batch: Batch, device: torch.device) -> HS2SError:
    """What to raise where a step does not fit into memory; what was learnt before it is saved."""
    if run.step:
        _write(out / "last.pt", run)
    length, clips, _, height, width = batch.frames.shape
    kept = f"; {out / 'last.pt'} holds the {run.step} before it" if run.step else ""
    return HS2SError(
        f"step {run.step + 1} needs more memory than {device} has: {counted(clips, 'clip')} of "
        f"{counted(length, 'frame')} of {width}x{height}{kept}. Lower clips, frames or size of the "
        "stage, or set checkpointing = true"
    )


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
    theirs, ours = weights.config.to_dict(), model.config.to_dict()
    differing = [
        f"{key} is {theirs.get(key)} there and {ours.get(key)} here"
        for key in {**theirs, **ours}
        if theirs.get(key) != ours.get(key) and key not in INFERENCE_SETTINGS
    ]
    if differing:
        raise InvalidConfig(
            f"the weights to start from ({start}) are of another model ({'; '.join(differing)}). "
            "Set [model] to theirs, or start without them"
        )
    model.load_state_dict(weights.state_dict())


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move ``average`` towards ``model``, the statistics of batch norms too.

    Those of the model are of its last frames alone: every frame of a clip moves them by a tenth.
    """
    states = zip(average.state_dict().values(), model.state_dict().values(), strict=True)
    for old, new in states:
        if old.is_floating_point():
            old.lerp_(new, 1 - decay)
        else:
            old.copy_(new)


def _write(path: Path, run: Run) -> None:
    """Save a run, if it is worth keeping."""
    if not is_finite(run):
        raise _diverged(path.parent, run, "weights are not finite")
    if rank() == 0:
        save_run(path, run)
