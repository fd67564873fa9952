"""What nnsight says of a phi checkpoint folder; runs under an interpreter that has nnsight.

usage: nnsight_worker.py FOLDER OUT.npz QUESTION     QUESTION: JSON with clean, corrupt (ids), answer, versus
"""

from __future__ import annotations

import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
import transformers
from nnsight import NNsight


def main():
    folder, out, question = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    torch.set_num_threads(1)
    # attention weights exist in the eager mode alone
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    model = NNsight(theirs.eval())
    clean, corrupt = (torch.tensor([question[name]]) for name in ("clean", "corrupt"))
    answer, versus = question["answer"], question["versus"]
    arrays = {}
    with torch.no_grad():
        with model.trace(clean):
            patterns, stream = list().save(), list().save()
            for layer in model.model.layers:
                patterns.append(layer.self_attn.output[1])
                stream.append(layer.output)
            logits = model.lm_head.output.save()
        arrays["logits"], arrays["patterns"] = logits[0], torch.stack(patterns)[:, 0]
        arrays["resid_post"] = torch.stack(stream)[:, 0]
        # the lens as people write it: the model's own norm and head over each layer's output
        arrays["lens"] = theirs.lm_head(theirs.model.final_layernorm(torch.stack(stream)[:, 0])).log_softmax(-1)
        patched = torch.zeros(len(stream), clean.shape[1])
        for i, value in enumerate(stream):
            for p in range(clean.shape[1]):
                with model.trace(corrupt):
                    model.model.layers[i].output[:, p] = value[:, p]
                    row = model.lm_head.output[0, -1].save()
                patched[i, p] = row[answer] - row[versus]
        arrays["patch resid_post"] = patched
        half = torch.zeros(clean.shape[1], len(logits[0, 0]))
        for p in range(clean.shape[1]):
            with model.trace(clean):
                model.model.layers[0].output[:, p] *= 0.5
                row = model.lm_head.output[0, -1].save()
            half[p] = row
        arrays["half of resid_post 0"] = half
    np.savez(out, **{name: np.asarray(value) for name, value in arrays.items()})


if __name__ == "__main__":
    main()
