"""What is measured of a model that adds modulo p: which waves it is made of (Nanda et al. 2023, sections 4 and 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from petitlm.engine.runs import Runner, run_texts
from petitlm.engine.sampling import log_softmax
from petitlm.look.zoo.modular import all_sums

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Waves:
    """The frequencies of a model and how much of it they are."""

    frequencies: tuple[int, ...]
    """The fewest that hold 90 % of the embedding's power, strongest first; 1 to (p - 1) / 2."""
    neuron_shares: Numbers
    """Of each live neuron: the largest share of its variance over all pairs that one frequency has."""
    accuracy: float
    """Share of the pairs whose sum is right."""
    full: float
    """Mean loss of the pairs, in nats."""
    restricted: float
    """The same with no other waves of a + b than the key frequencies' left in the logits."""
    excluded: float
    """The same without the key frequencies' waves."""


def waves_of(runner: Runner, p: int, pairs: NDArray[np.bool_]) -> Waves:
    """Run all p^2 sums and measure; the losses are those of `pairs`, in the order of `all_sums`."""
    logits, post = list[Numbers](), list[Numbers]()
    for trace in run_texts(runner, all_sums(p), ["mlp_post:0"]):
        logits.append(trace.logits[-1, :p].astype(np.float64))
        post.append(trace["mlp_post:0"][-1].astype(np.float64))
    power = embedding_power(runner.weight("embed.weight")[:p])
    order = np.argsort(-power)
    keys = order[: 1 + int(np.searchsorted(np.cumsum(power[order]) / power.sum(), 0.9))] + 1
    said = np.stack(logits)
    part = waves_in(said, p, keys.tolist())
    constant = said.mean(0)
    right = said.argmax(1) == np.array(all_sums(p))[:, :2].sum(1) % p
    return Waves(tuple(keys.tolist()), neuron_shares(np.stack(post), p), float(right[pairs].mean()),
                 loss(said, p, pairs), loss(constant + part, p, pairs), loss(said - part, p, pairs))


def embedding_power(embedding: NDArray[np.floating]) -> Numbers:
    """Return the squared length of an embedding (p, D) at each frequency but 0: ((p - 1) / 2,)."""
    return (np.abs(np.fft.rfft(embedding.astype(np.float64), axis=0)) ** 2).sum(1)[1:]


def neuron_shares(post: Numbers, p: int, least: float = 1e-6) -> Numbers:
    """Return each live neuron's largest share of variance in one frequency; `post` is (p^2, F), a in the outer order.

    A frequency k has the waves of ka, kb, and k(a + b), k(a - b).
    """
    power = np.abs(np.fft.fft2(post.reshape(p, p, -1), axes=(0, 1))) ** 2
    power[0, 0] = 0
    total, k = power.sum((0, 1)), np.arange(1, (p - 1) // 2 + 1)
    around = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
    own = np.sum([power[i * k % p, j * k % p] for i, j in around], 0)
    live = total > least * total.max()
    return (own[:, live] / total[live]).max(0)


def waves_in(logits: Numbers, p: int, frequencies: Sequence[int]) -> Numbers:
    """Return the part of logits (p^2, p) that is a wave of a + b at one of these frequencies."""
    pairs = np.array(all_sums(p))[:, :2].sum(1)
    angles = 2 * np.pi * np.outer(pairs, np.asarray(frequencies)) / p
    basis = np.concatenate([np.cos(angles), np.sin(angles)], 1) * np.sqrt(2) / p  # orthonormal over the p^2 pairs
    return basis @ (basis.T @ logits)


def loss(logits: Numbers, p: int, pairs: NDArray[np.bool_]) -> float:
    """Return the mean negative log-probability of the right sums, in nats."""
    sums = np.array(all_sums(p))[:, :2].sum(1) % p
    rows = log_softmax(logits.astype(np.float32))
    return -float(rows[np.arange(p * p), sums][pairs].astype(np.float64).mean())
