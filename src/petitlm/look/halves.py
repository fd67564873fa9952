"""The half of looking that needs torch, for verbs that can do without it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from petitlm.errors import UsageError

PATCHING = "patch exactly with `petit look patch`"
EXACT = "take method exact (acdc in a circuit)"


def gradient_half(module: str, instead: str) -> Any:
    """Return a module of `petitlm.look.gradients`; `instead` says what else can be asked for.

    Raises: UsageError where torch is not installed.
    """
    try:
        return import_module(f"petitlm.look.gradients.{module}")
    except ImportError:
        raise UsageError("estimates need gradients, and gradients torch; install petitlm[train], or "
                         f"{instead}, which needs neither") from None
