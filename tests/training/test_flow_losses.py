"""Losses of optical flow: known values, gradients by finite differences."""

from __future__ import annotations

import pytest
import torch

from hs2s_core.training import losses
from hs2s_core.training.flow_losses import photometric_loss, smoothness_loss


def test_photometric_loss_of_the_true_flow_is_zero() -> None:
    current = torch.rand(2, 3, 10, 12)
    flow = torch.zeros(1, 2, 2, 10, 12)
    flow[:, :, 0] = 1
    previous = current.roll(-1, dims=3)
    assert photometric_loss(flow, previous, current) < 1e-6
    still = torch.zeros_like(flow)
    two = torch.cat([still, flow])
    expected = 0.8 * photometric_loss(still, previous, current)
    torch.testing.assert_close(photometric_loss(two, previous, current), expected)
    outside = torch.full_like(flow, 100.0)
    assert photometric_loss(outside, previous, current) == 0


def test_photometric_loss_has_the_gradient_it_claims() -> None:
    generator = torch.Generator().manual_seed(0)

    def rand(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    flow = (0.3 + 0.3 * rand(1, 1, 2, 5, 6)).requires_grad_()
    previous, current = rand(1, 3, 5, 6), rand(1, 3, 5, 6)
    assert torch.autograd.gradcheck(lambda f: photometric_loss(f, previous, current), flow)


def test_smoothness_lets_even_motion_and_image_edges_pass() -> None:
    """Zero but for rounding where flow changes evenly, or where the image has an edge."""
    y, x = torch.meshgrid(torch.arange(10.0), torch.arange(12.0), indexing="ij")
    zoom = torch.stack([0.3 * x - 0.1 * y, 0.2 * y])[None, None]
    plain = torch.full((1, 3, 10, 12), 0.5)
    assert smoothness_loss(zoom, plain) == pytest.approx(1e-3, rel=1e-2)
    two_motions = torch.where(x < 6, 0.0, 4.0).expand(1, 1, 2, 10, 12)
    bent = smoothness_loss(two_motions, plain)
    # Two columns of ten inner ones bend by 4 along x, none along y.
    assert bent == pytest.approx(0.5 * 4 * 2 / 10, abs=2e-3)
    edge = torch.where(x < 6, 0.2, 0.8).expand(1, 3, 10, 12)
    assert smoothness_loss(two_motions, edge) < 2e-3
    twice = torch.cat([two_motions, zoom])
    expected = 0.8 * bent + smoothness_loss(zoom, plain)
    torch.testing.assert_close(smoothness_loss(twice, plain), expected)


def test_smoothness_has_the_gradient_it_claims() -> None:
    generator = torch.Generator().manual_seed(0)
    flow = torch.rand(2, 1, 2, 5, 6, generator=generator, dtype=torch.float64).requires_grad_()
    image = torch.rand(1, 3, 5, 6, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda f: smoothness_loss(f, image, edge=5.0), flow)


@pytest.mark.parametrize("name", ["photometric", "smoothness"])
def test_half_batches_pool_to_the_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process counts its own pixels inside; the mean is over those of all processes."""
    generator = torch.Generator().manual_seed(0)
    flows = 3 * torch.randn(2, 4, 2, 10, 12, generator=generator)
    flows[:, 0] += 5  # leaves the frame more often than the others
    previous, current = torch.rand(2, 4, 3, 10, 12, generator=generator)

    def loss(objects: slice) -> torch.Tensor:
        if name == "photometric":
            return photometric_loss(flows[:, objects], previous[objects], current[objects])
        return smoothness_loss(flows[:, objects], previous[objects], edge=2.0)

    whole, rest = loss(slice(0, 4)), []
    monkeypatch.setattr(losses, "pooled", lambda x: rest.append(x) or x)
    alone = loss(slice(1, 4))
    monkeypatch.setattr(losses, "pooled", lambda x: x + rest[0])
    torch.testing.assert_close(loss(slice(0, 1)), whole)
    assert not torch.isclose(alone, whole, rtol=1e-3)
