"""The golden transcript: the default model says the same, to the bit, on every machine.

`golden.json` has, for each format and prompt, the tokens of a greedy and of a sampled answer and a hash of the logits
after the prompt. It was written on an x86 processor; the tests compare every instruction set of the machine that they
run on with it, and tests/arm/test_arm.py those of emulated ARM processors. When weights or arithmetic change on
purpose:  python tests/parity/test_golden.py
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

import petitlm
from petitlm.engine.kernels import available_isas

GOLDEN = Path(__file__).with_name("golden.json")
PROMPTS = ("Question: What is two plus three?\nAnswer:", "Instruct: Count from one to five.\nOutput:",
           "Il était une fois une petite", "The sky")
BITS = (4, 8, 16, 32)
ISAS = available_isas() or [pytest.param("", marks=pytest.mark.skip(reason="built without a C++ compiler"))]


def transcript(bits: int, isa: str, threads: int) -> list[dict[str, Any]]:
    """Return what the default model makes of each prompt."""
    model = petitlm.load(None, bits=bits, isa=isa, threads=threads)
    said = []
    for prompt in PROMPTS:
        ids = model.encode(prompt)
        greedy = model.generate(ids, max_tokens=12)
        sampled = model.generate(ids, max_tokens=12, temperature=0.8, top_p=0.95, seed=7)
        said.append({"prompt": prompt, "logits": hashlib.sha256(model.logits(ids).tobytes()).hexdigest(),
                     "greedy": " ".join(map(str, greedy.ids)), "sampled": " ".join(map(str, sampled.ids)),
                     "text": greedy.text})
    return said


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("isa", ISAS)
def test_the_default_model_says_what_it_said(isa: str, bits: int) -> None:
    assert transcript(bits, isa, 2) == json.loads(GOLDEN.read_text("utf-8"))[str(bits)]


if __name__ == "__main__":
    golden = {str(bits): transcript(bits, "auto", 1) for bits in BITS}
    GOLDEN.write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n", "utf-8")
