"""One batch of clips through a network, step by step, and what it costs.

Frame 0 is given. Each later step is fed the mask before it: the truth, or the model's own
soft prediction where a draw says so (scheduled sampling, per object and step). The same
mask goes to the encoder and the reference encoder (method: authors' code).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from hs2s_core.models.base import StepOutput, VideoSegmenter, map_tree
from hs2s_core.models.inputs import denormalise
from hs2s_core.training.batches import Batch
from hs2s_core.training.config import Unrolling
from hs2s_core.training.losses import LossWeights, step_loss
from hs2s_core.training.norms import kept_statistics

T = TypeVar("T")


class Unroll(nn.Module):
    """Clip in, loss out; a module, so that data parallel training can wrap it.

    With ``checkpointing`` no activations are kept of the image encoding, of a look-ahead and of the
    steps; the backward pass computes each part anew. Results and batch-norm statistics stay the
    same. All frames are encoded as one part, since batch norms pool over them. Beyond as many
    ``references`` as there may be, a new one takes the place of another than the first. Chunks are
    those of :func:`propagate`: the given frame is the first of the first one.
    """

    def __init__(
        self, model: VideoSegmenter, weights: LossWeights, how: Unrolling | None = None
    ) -> None:
        """``model`` is in training mode, ``weights`` are those of the terms of the loss."""
        super().__init__()
        self.model = model
        self.weights = weights
        self.how = how or Unrolling()

    def forward(self, batch: Batch, sampling: float) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss over the steps, and the mean of each of its terms by name.

        ``sampling`` is the chance that a prediction is fed back instead of the truth.
        """
        length = len(batch.frames)
        features = self._encode(batch.frames)
        state = self._call(self.model.begin, features[0], batch.masks[0], batch.owner)
        mask = batch.masks[0]
        known = 1
        losses: list[Tensor] = []
        sums: dict[str, Tensor] = {}
        chunk = self.how.chunk or length
        for t in range(1, length):
            if t == 1 or t % chunk == 0:
                ahead = features[t : (t // chunk + 1) * chunk]
                state = self._call(self.model.look_ahead, ahead, state, batch.owner)
            output, state = self._call(self.model.step, features[t], mask, state, batch.owner)
            border = None if batch.borders is None else batch.borders[t]
            loss, terms = step_loss(output, batch.masks[t], self.weights, border)
            if output.flow is not None:
                for name, term in self._flow_losses(output.flow.float(), batch, t).items():
                    loss = loss + getattr(self.weights, name) * term
                    terms[name] = term.detach()
            losses.append(loss)
            for name, term in terms.items():
                sums[name] = sums.get(name, term.new_zeros(())) + term / (length - 1)
            mask = self._next_mask(output, batch.masks[t], batch.draws[t] < sampling)
            # Drawn with the step's seed, hence alike in every process.
            if self.how.references > 1 and torch.rand(()) < self.how.remember:
                slot = None if known < self.how.references else int(torch.randint(1, known, ()))
                known += slot is None
                state = self._call(self.model.remember, features[t], mask, state, batch.owner, slot)
        return torch.stack(losses).mean(), sums

    def _encode(self, frames: Tensor) -> list[Any]:
        """What depends on the images alone, for all frames at once: one tree per frame."""
        length, clips = frames.shape[:2]
        everything = self._call(self.model.encode, frames.flatten(0, 1))
        return [
            map_tree(lambda x, t=t: x[t * clips : (t + 1) * clips], everything)
            for t in range(length)
        ]

    def _call(self, part: Callable[..., T], *inputs: Any) -> T:
        """Run a part of the model on ``inputs``, in this training's precision."""
        device = next(self.model.parameters()).device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.how.precision == "bfloat16"):
            if not (self.how.checkpointing and torch.is_grad_enabled()):
                return part(*inputs)
            result: T = checkpoint(
                part,
                *inputs,
                use_reentrant=False,
                context_fn=lambda: (nullcontext(), kept_statistics(self.model)),
            )
            return result

    def _next_mask(self, output: StepOutput, truth: Tensor, own: Tensor) -> Tensor:
        prediction = output.logits.float().sigmoid()
        if self.how.detach:
            prediction = prediction.detach()
        return torch.where(own.view(-1, 1, 1, 1), prediction, truth)

    def _flow_losses(self, flows: Tensor, batch: Batch, t: int) -> dict[str, Tensor]:
        """Terms on the flow from frame t - 1 to t, each clip's image once per object."""
        # Brings torchvision, whose import takes seconds.
        from hs2s_core.training.flow_losses import photometric_loss, smoothness_loss

        previous = denormalise(batch.frames[t - 1])[batch.owner]
        terms = {}
        if self.weights.flow:
            current = denormalise(batch.frames[t])[batch.owner]
            terms["flow"] = photometric_loss(flows, previous, current)
        if self.weights.flow_smooth:
            terms["flow_smooth"] = smoothness_loss(flows, previous)
        return terms
