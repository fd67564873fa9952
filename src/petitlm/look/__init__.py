"""Looking inside: how an answer comes about, on the very model that is deployed.

    import petitlm
    from petitlm import look
    print(look.lens(petitlm.load(), "Instruct: What is 2 + 3?\\nOutput: 2 + 3 ="))

Verbs are functions of a model; each returns a result with `table()`, `to_dict()`, `html()` and its own checks. They
work on both sets of layers, and all but the gradients (`petitlm.look.gradients`) without torch. Names are loaded when
they are first used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

VERBS = {"lens": "lens", "dla": "dla", "patterns": "patterns", "heads": "heads", "patch": "patch",
         "attribute": "attribute", "circuit": "circuit", "steer": "steer", "probe": "probe", "features": "features",
         "drift": "drift", "diff": "diff", "risk": "risk", "patchscope": "patchscope",
         "identities": "identities",
         "dashboard": "dashboards", "train_dictionary": "gradients.features"}
"""Verb: the module of `petitlm.look` that it is in."""
OTHERS = {"save_finding": "findings", "load_finding": "findings", "replay": "findings", "make_metric": "models",
           "Metric": "models", "load_dictionary": "dictionary_files", "save_dictionary": "dictionary_files",
           "load_direction": "directions", "save_direction": "directions", "fit_probe": "probe",
           "fit_judge": "risk_fit", "load_judge": "judge",
           "Result": "results", "selftest": "selftest"}
"""What is not a verb, and the module that it is in."""


class _Package(ModuleType):
    """Importing `petitlm.look.lens` would put that module here under the verb's name; the verb keeps it."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (isinstance(value, ModuleType) and (name in VERBS or name in OTHERS)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    home = VERBS.get(name) or OTHERS.get(name)
    if home is None:
        raise AttributeError(f"module 'petitlm.look' has no attribute {name!r}")
    module = import_module(f"petitlm.look.{home}")
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *VERBS, *OTHERS])
