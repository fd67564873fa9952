"""Muon: the same steps as torch's own, matrices of one shape together."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from petitlm.errors import ShapeError
from petitlm.train.muon import Muon, orthogonalise

SHAPES = [(6, 6), (6, 20), (20, 6), (6, 20), (1, 8)]


def parameters() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def test_singular_values_come_near_one_and_vectors_stay() -> None:
    x = torch.randn(3, 16, 40, generator=torch.Generator().manual_seed(1))
    y = orthogonalise(x)
    u, _, vh = torch.linalg.svd(x, full_matrices=False)
    middle = u.mT @ y @ vh.mT
    values = middle.diagonal(dim1=1, dim2=2)
    assert 0.6 < values.min() <= values.max() < 1.3
    assert (middle - torch.diag_embed(values)).abs().max() < 1e-4


def test_steps_are_those_of_torch_up_to_its_bfloat16() -> None:
    ours, theirs = parameters(), parameters()
    optimisers = (Muon(ours, lr=0.02, weight_decay=0.1),
                  torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"))
    generator = torch.Generator().manual_seed(2)
    for _ in range(4):
        grads = [torch.randn(shape, generator=generator) for shape in SHAPES]
        for params, optimiser in zip((ours, theirs), optimisers, strict=True):
            for p, grad in zip(params, grads, strict=True):
                p.grad = grad.clone()
            optimiser.step()
    for p, q, start in zip(ours, theirs, parameters(), strict=True):
        moved = (q - start).norm()
        assert moved > 0.01
        assert (p - q).norm() / moved < 0.02  # bfloat16 has 3 digits


def test_a_matrix_without_a_gradient_stays() -> None:
    params = parameters()
    params[0].grad = torch.ones_like(params[0])
    before = [p.detach().clone() for p in params]
    Muon(params, lr=0.1, weight_decay=0.1).step()
    assert [bool((p == b).all()) for p, b in zip(params, before, strict=True)] == [False, True, True, True, True]


def test_only_matrices_are_taken() -> None:
    with pytest.raises(ShapeError, match=r"\(5,\) is no matrix"):
        Muon([nn.Parameter(torch.zeros(5))], lr=0.1, weight_decay=0.0)
