"""TransformerLens and nnsight for bench/look.py; runs under an interpreter that has both (`make oracles`).

Every question is asked in turns of all tools, `reps` times; each answer is one line of JSON after '@@ '.
"""

from __future__ import annotations

import argparse
import json
import os
import time

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import transformers
from nnsight import NNsight
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.tools.analysis import logit_lens


def emit(**values):
    print("@@ " + json.dumps(values), flush=True)


def layers_of(model):
    return model.model.layers if hasattr(model, "model") else model.transformer.h


def output_of(layer):
    return layer.output[0] if isinstance(layer.output, tuple) else layer.output


class Lens:
    """TransformerLens."""

    name = "TransformerLens"

    def __init__(self, folder):
        self.bridge = TransformerBridge.boot_transformers(folder, device="cpu", dtype=torch.float32).eval()

    def plain(self, ids):
        return self.bridge(ids)

    def resid(self, ids):
        cache = self.bridge.run_with_cache(ids, names_filter=lambda name: name.endswith("hook_resid_post"))[1]
        return [value[0, -1].clone() for value in cache.values()]

    def patterns(self, ids):
        return self.bridge.run_with_cache(ids, names_filter=lambda name: name.endswith("hook_pattern"))[1]

    def lens(self, ids):
        return logit_lens(self.bridge, ids, top_k=10)

    def patch(self, ids):
        def replace(z, hook):
            z[:, -1, 0] = 0.1
            return z

        return self.bridge.run_with_hooks(ids, fwd_hooks=[("blocks.1.attn.hook_z", replace)])


class Sight:
    """nnsight, with the code that people write for these questions."""

    name = "nnsight"

    def __init__(self, folder):
        self.theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32,
                                                                       attn_implementation="eager").eval()
        self.model = NNsight(self.theirs)
        self.d_head = self.theirs.config.hidden_size // self.theirs.config.num_attention_heads
        self.phi = hasattr(self.theirs, "model")

    def plain(self, ids):
        return self.theirs(ids).logits

    def resid(self, ids):
        with self.model.trace(ids):
            kept = list().save()
            for layer in layers_of(self.model):
                kept.append(output_of(layer)[0, -1].clone())
        return kept

    def patterns(self, ids):
        with self.model.trace(ids):
            kept = list().save()
            for layer in layers_of(self.model):
                kept.append((layer.self_attn if self.phi else layer.attn).output[1])
        return kept

    def lens(self, ids):
        inner = self.theirs.model if self.phi else self.theirs.transformer
        stack = torch.stack(self.resid(ids))
        return self.theirs.lm_head((inner.final_layernorm if self.phi else inner.ln_f)(stack)).topk(10)

    def patch(self, ids):
        with self.model.trace(ids):
            layer = layers_of(self.model)[1]
            out = layer.self_attn.dense if self.phi else layer.attn.c_proj
            out.input[:, -1, : self.d_head] = 0.1
            logits = self.model.lm_head.output.save()
        return logits


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    for name in ("threads", "reps", "prompt", "long"):
        parser.add_argument(f"--{name}", type=int)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with torch.no_grad():
        tools = [Lens(arguments.folder), Sight(arguments.folder)]
        ids = {name: torch.randint(300, (1, getattr(arguments, name)), generator=torch.Generator().manual_seed(1))
               for name in ("prompt", "long")}
        for rep in range(-1, arguments.reps):  # the first of each is not counted
            for question, length in (("plain", "prompt"), ("resid", "prompt"), ("lens", "prompt"), ("patch", "prompt"),
                                     ("plain", "long"), ("patterns", "long")):
                for tool in tools:
                    start = time.perf_counter()
                    getattr(tool, question)(ids[length])
                    if rep >= 0:
                        emit(tool=tool.name, question=question, length=length, s=time.perf_counter() - start)


if __name__ == "__main__":
    main()
