"""datatrove's MinHash signatures for bench/data.py; runs under an interpreter that has datatrove and spacy.

usage: repeats_worker.py TEXTS.json LANGUAGE REPS    one line of JSON after '@@ ': CPU seconds, and the texts' bands
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time

os.environ["HF_HUB_OFFLINE"] = "1"

from datatrove.data import Document
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
from datatrove.utils.hashing import HashConfig
from datatrove.utils.logging import logger


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        texts = json.load(file)
    logger.remove()
    config = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8, hash_config=HashConfig(precision=64))
    best = float("inf")
    for _ in range(int(sys.argv[3])):
        with tempfile.TemporaryDirectory() as folder:
            step = MinhashDedupSignature(folder, config=config, language=sys.argv[2])
            step.get_shingles("load the tokenizer before the clock runs")
            begin = time.process_time()
            step.run(iter([Document(text=text, id=str(i)) for i, text in enumerate(texts)]))
            best = min(best, time.process_time() - begin)
    bands = []
    for text in texts[:2000]:
        shingles = step.get_shingles(text)
        signature = step.get_signature(shingles) if shingles.size else []
        bands.append([hashlib.blake2b(repr(band).encode(), digest_size=8).hexdigest() for band in signature])
    print("@@ " + json.dumps({"seconds": best, "bands": bands}), flush=True)


main()
