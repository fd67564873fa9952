"""tiktoken, datatrove and pydivsufsort for bench/data_tokens.py; runs under an interpreter that has them.

usage: tokens_worker.py TASK TOKENIZER_FOLDER TEXTS.json REPS    one line of JSON after '@@ '
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
DIGITS = r"'s|'t|'re|'ve|'m|'ll|'d|\p{N}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?=\p{N})|\s+(?!\S)|\s+"


def seconds_of(call, reps):
    """CPU seconds of this process, all threads; the best of `reps`."""
    best, result = float("inf"), None
    for _ in range(reps):
        begin = time.process_time()
        result = call()
        best = min(best, time.process_time() - begin)
    return best, result


def run_tiktoken(folder, texts, reps):
    import tiktoken

    with open(f"{folder}/tokenizer.json", encoding="utf-8") as file:
        table = json.load(file)
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    byte_of = {chr(b): b for b in printable}
    byte_of |= {chr(256 + i): b for i, b in enumerate(b for b in range(256) if b not in printable)}
    ranks = {bytes(byte_of[c] for c in token): id for token, id in table["model"]["vocab"].items()
             if all(c in byte_of for c in token) and not token.startswith("<|")}
    pattern = DIGITS if table["pre_tokenizer"]["type"] == "Sequence" else GPT2
    encoding = tiktoken.Encoding("peer", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    seconds, found = seconds_of(lambda: encoding.encode_ordinary_batch(texts, num_threads=1), reps)
    digest = hashlib.sha256(json.dumps(found).encode()).hexdigest()
    return {"seconds": seconds, "tokens": sum(map(len, found)), "ids": digest}


def run_datatrove(folder, texts, reps):
    from datatrove.data import Document
    from datatrove.pipeline.tokens import DocumentTokenizer
    from datatrove.utils.logging import logger

    logger.remove()

    def tokenise():
        with tempfile.TemporaryDirectory() as out, contextlib.redirect_stderr(None):
            step = DocumentTokenizer(out, tokenizer_name_or_path=f"{folder}/tokenizer.json", eos_token="<|endoftext|>",
                                     shuffle_documents=False)
            step.run(Document(text=text, id=str(i)) for i, text in enumerate(texts))
            return sum(os.path.getsize(f"{out}/{name}") for name in os.listdir(out) if name.endswith(".ds"))

    seconds, size = seconds_of(tokenise, reps)
    with open(f"{folder}/tokenizer.json", encoding="utf-8") as file:
        n_ids = len(json.load(file)["model"]["vocab"])
    return {"seconds": seconds, "tokens": size // (2 if n_ids <= 1 << 16 else 4)}


def run_divsufsort(_folder, texts, reps):
    import pydivsufsort

    data = "".join(texts).encode()
    seconds, _ = seconds_of(lambda: pydivsufsort.divsufsort(data), reps)
    return {"seconds": seconds, "bytes": len(data)}


def main():
    task, folder, path, reps = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        texts = json.load(file)
    run = {"tiktoken": run_tiktoken, "datatrove": run_datatrove, "divsufsort": run_divsufsort}[task]
    print("@@ " + json.dumps(run(folder, texts, int(reps))), flush=True)


if __name__ == "__main__":
    main()
