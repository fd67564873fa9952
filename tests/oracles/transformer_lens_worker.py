"""What TransformerLens says of a checkpoint folder; runs under an interpreter that has transformer_lens.

usage: transformer_lens_worker.py FOLDER OUT.npz QUESTION     QUESTION: JSON with clean, corrupt (ids), answer, versus
"""

from __future__ import annotations

import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from transformer_lens import patching
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.tools.analysis import direct_logit_attribution, logit_lens

SWEEPS = {
    "resid_pre": patching.get_act_patch_resid_pre,
    "attn_out": patching.get_act_patch_attn_out,
    "mlp_out": patching.get_act_patch_mlp_out,
    "heads": patching.get_act_patch_attn_head_out_all_pos,
    "heads, each position": patching.get_act_patch_attn_head_out_by_pos,
    "q": patching.get_act_patch_attn_head_q_all_pos,
    "k": patching.get_act_patch_attn_head_k_all_pos,
    "v": patching.get_act_patch_attn_head_v_all_pos,
    "pattern": patching.get_act_patch_attn_head_pattern_all_pos,
}


def boot(folder):
    bridge = TransformerBridge.boot_transformers(folder, device="cpu", dtype=torch.float32)
    return bridge.eval()


def main():
    folder, out, question = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    torch.set_num_threads(1)
    clean, corrupt = (torch.tensor([question[name]]) for name in ("clean", "corrupt"))
    answer, versus = question["answer"], question["versus"]

    def metric(logits):
        return logits[0, -1, answer] - logits[0, -1, versus]

    arrays = {}
    with torch.no_grad():
        model = boot(folder)
        logits, cache = model.run_with_cache(clean)
        arrays["tap logits"] = logits
        # what petit calls the output of a norm is taken after its gain, as `hook_out` is here
        arrays |= {f"tap {name}": cache[name] for name in cache if ".hook_" in f".{name}"}
        lens = logit_lens(model, clean, positions=None, return_type="log_probs")
        arrays["lens"] = lens.values
        arrays["corrupt metric"] = metric(model(corrupt))
        for name, sweep in SWEEPS.items():
            arrays[f"patch {name}"] = sweep(model, corrupt, cache, metric)
        folded = boot(folder)
        folded.enable_compatibility_mode()
        for unit in ("component", "head"):
            found = direct_logit_attribution(folded, clean, answer, versus, unit=unit)
            arrays[f"dla {unit}"] = found.attribution
            arrays[f"dla {unit} labels"] = np.array(found.labels)
    np.savez(out, **{name: np.asarray(value) for name, value in arrays.items()})


if __name__ == "__main__":
    main()
