"""The frequencies of rotary positions, in plain Python, for both sets of layers.

Source: Su et al. 2021, RoFormer, section 3.4; the stretching is Llama 3.1's.
"""

from __future__ import annotations

import math

from petitlm.config import ModelConfig, RopeScaling


def frequencies(config: ModelConfig) -> list[float]:
    """Return the P angles, in radians, by which the rotary pairs turn from one position to the next."""
    width = config.n_rotary
    freqs = [config.rope_theta ** (-2 * i / width) for i in range(width // 2)]
    return [_stretch(f, config.rope_scaling) for f in freqs] if config.rope_scaling else freqs


def _stretch(freq: float, scaling: RopeScaling) -> float:
    turns = scaling.original_ctx * freq / (2 * math.pi)  # whole waves within the first context
    if turns < scaling.low_freq_factor:
        return freq / scaling.factor
    if turns > scaling.high_freq_factor:
        return freq
    keep = (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)
    return (1 - keep) * freq / scaling.factor + keep * freq
