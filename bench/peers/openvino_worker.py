"""One round of OpenVINO GenAI for bench/run.py; runs under an interpreter that has openvino_genai.

Every prompt is new: its prefix cache would make a repeated one look free.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import time

import numpy as np
import openvino
import openvino_genai


def emit(kind, **values):
    print("@@ " + json.dumps({"kind": kind, **values}), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--group", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--prefill", type=int)
    parser.add_argument("--gen", type=int)
    parser.add_argument("--ctx", type=lambda text: [int(part) for part in text.split(",")])
    arguments = parser.parse_args()
    pipe = openvino_genai.LLMPipeline(arguments.folder, "CPU", INFERENCE_NUM_THREADS=arguments.threads,
                                      DYNAMIC_QUANTIZATION_GROUP_SIZE=arguments.group)
    numbers = random.Random(time.time())

    def generate(n, tokens):
        config = openvino_genai.GenerationConfig()
        config.max_new_tokens, config.min_new_tokens, config.ignore_eos = tokens, tokens, True
        ids = np.array([[numbers.randrange(300, 50000) for _ in range(n)]], np.int64)
        inputs = openvino_genai.TokenizedInputs(openvino.Tensor(ids), openvino.Tensor(np.ones_like(ids)))
        return pipe.generate(inputs, config).perf_metrics

    generate(8, 1)
    emit("ready", at=time.time())
    generate(arguments.prefill, 1)  # every engine runs a prompt of this length once before the one that counts
    metrics = generate(arguments.prefill, 1)
    emit("prefill", ctx=0, value=arguments.prefill / (metrics.get_ttft().mean / 1e3))
    emit("peak", value=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    for context in arguments.ctx:
        metrics = generate(context, arguments.gen + 1)
        emit("decode", ctx=context, value=1e3 / metrics.get_tpot().mean)


if __name__ == "__main__":
    main()
