"""Languages and classes of texts: petit beside py3langid, scikit-learn, and fastText and lingua where there are.

    python bench/data_quality.py [--peers PYTHON] [--passages 6000] [--reps 3]

PYTHON is an interpreter that has fasttext and lingua-language-detector; without it their rows are left out. Everything
runs in turn on one core; rates are of the process' CPU time, the best of `reps`. Text: the documents of
../shared/data/text that petit's models did not see, cut to passages of 1,500 characters and to strings of 60.
`language` asks for the language of each (py3langid among the 97 that it knows, and among seven; lingua among seven; a
guess of "und" counts as wrong). `classes` trains on 6,000 passages of the other documents to tell teaching from plain
prose and predicts the unseen ones: petit and scikit-learn by hashed n-grams, fastText by its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from language_text import LANGUAGES, is_held_out, real

from petitlm.data.corpus.schema import documents
from petitlm.data.quality.classifier import Grade, grades
from petitlm.data.quality.features import Features
from petitlm.data.quality.fitting import Fitting, fit
from petitlm.data.quality.labels import Label
from petitlm.data.quality.language import Identify, find_languages
from petitlm.data.quality.shipped import load
from petitlm.evals.conditions import OtherWork, machine

HERE = Path(__file__).resolve().parent
SHARED = HERE.parents[1] / "shared"
T = TypeVar("T")
Labelled = list[tuple[str, str]]


def passages(held_out: bool, size: int, n: int, label: Callable[[str, str], str]) -> Labelled:
    """`n` pieces of `size` characters with `label(set, language)`, equally many of English and French, shuffled."""
    found: dict[str, Labelled] = {"en": [], "fr": []}
    for name, language, source, text in real(SHARED):
        if is_held_out(source) == held_out:
            found[language] += [(text[i : i + size], label(name, language)) for i in range(0, len(text) - size, size)]
    rng = Random(1)
    made = [piece for pieces in found.values() for piece in rng.sample(pieces, min(n // 2, len(pieces)))]
    rng.shuffle(made)
    return made


def best_of(reps: int, work: Callable[[], T]) -> tuple[float, T]:
    """Least CPU seconds, and what came out."""
    least, made = float("inf"), None
    for _ in range(reps):
        begin = time.process_time()
        made = work()
        least = min(least, time.process_time() - begin)
    assert made is not None
    return least, made


def row(name: str, n: int, seconds: float, right: Sequence[float], against: float | None = None) -> float:
    """Print one line; the rate."""
    rate = n / seconds
    print(f"  {name:<44} {rate:>12,.0f}/s  " + f"{' '.join(f'{share:.4f}' for share in right):<14}"
          + (f"  petit x {against / rate:,.1f}" if against else ""), flush=True)
    return rate


def share(guesses: list[str], of: Labelled) -> float:
    return float(np.mean([guess == label for guess, (_, label) in zip(guesses, of, strict=True)]))


def shares(guesses: list[str], of: Labelled) -> tuple[float, float]:
    """Share of right languages of all, and of those that are not from the documentation of Python, which has code."""
    right = np.array([guess == label.split()[0] for guess, (_, label) in zip(guesses, of, strict=True)])
    prose = np.array([not label.split()[1].startswith("python") for _, label in of])
    return float(right.mean()), float(right[prose].mean())


def languages(sizes: dict[int, Labelled], reps: int) -> dict[int, float]:
    """Print petit's and py3langid's rates; petit's by size."""
    import py3langid
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    seven = LanguageIdentifier.from_model_file(MODEL_FILE)
    seven.set_languages(list(LANGUAGES))
    rates = {}
    for size, of in sizes.items():
        texts = [text for text, _ in of]
        column = pa.array(texts, pa.large_string())
        print(f"\nlanguage: {len(of):,} texts of {size} characters; right: of all, and without "
              "the documentation of Python")
        seconds, made = best_of(reps, lambda column=column: find_languages(column))
        rates[size] = row("petit, with script, mixtures and \"und\"", len(of), seconds, shares(made.languages, of))
        wrong = np.mean([guess not in ("und", label.split()[0])
                         for guess, (_, label) in zip(made.languages, of, strict=True)])
        print(f"  {'':<44} {np.mean(np.array(made.languages) == 'und'):.4f} are \"und\", {wrong:.4f} a wrong language")
        seconds, (names, _) = best_of(reps, lambda column=column: load("language").best(column))
        row("petit, the likeliest label alone", len(of), seconds, shares(names, of))
        few = texts[: max(200, len(texts) // (20 if size > 100 else 4))]
        for name, judge in (("py3langid", py3langid.classify), ("py3langid, of seven languages", seven.classify)):
            seconds, guesses = best_of(1, lambda few=few, judge=judge: [judge(text)[0] for text in few])
            row(name, len(few), seconds, shares(guesses, of[: len(few)]), rates[size])
    return rates


def classes(train: Labelled, test: Labelled, reps: int) -> float:
    """Print petit's and scikit-learn's training and rates; petit's rate."""
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts, labels = [text for text, _ in train], [label for _, label in train]
    asked = [text for text, _ in test]
    column = pa.array(asked, pa.large_string())
    print(f"\nclasses: teaching or plain; {len(train):,} passages to train on, {len(test):,} to predict, of 1,500 "
          "characters")
    features = Features(3, 4, 1, 15)
    seconds, model = best_of(1, lambda: fit(texts, labels, features, Fitting(l2=1e-5)))
    print(f"  petit trains in {seconds:.1f} s")
    seconds, (names, _) = best_of(reps, lambda: model.best(column))
    rate = row("petit, 3- and 4-grams, words, 2^15 rows", len(test), seconds, [share(names, test)])
    seconds, _ = best_of(reps, lambda: grades(column))
    row("petit, quality and spam (shipped model)", len(test), seconds, [])
    words = make_pipeline(HashingVectorizer(n_features=1 << 15, alternate_sign=False, ngram_range=(1, 2)),
                          LogisticRegression(max_iter=200))
    grams = make_pipeline(HashingVectorizer(n_features=1 << 15, alternate_sign=False, analyzer="char",
                                            ngram_range=(3, 4)), LogisticRegression(max_iter=200))
    few = asked[:1000]
    for name, pipe in (("scikit-learn, words and pairs of words", words), ("scikit-learn, 3- and 4-grams", grams)):
        seconds, _ = best_of(1, lambda pipe=pipe: pipe.fit(texts[:2000], labels[:2000]))
        print(f"  {name}: trains on 2,000 of them in {seconds:.1f} s")
        seconds, guesses = best_of(1, lambda pipe=pipe: pipe.predict(few).tolist())
        row(name, len(few), seconds, [share(guesses, test[: len(few)])], rate)
    return rate


def whole_stages(of: Labelled, reps: int) -> None:
    """Print the rates of the stages, table to table."""
    print(f"\nstages: tables of {len(of):,} documents of 1,500 characters")
    rows = documents([{"doc_id": i.to_bytes(16, "big"), "text": text, "origin": "human", "flags": []}
                      for i, (text, _) in enumerate(of)])
    for stage in (Identify(), Label(), Grade()):
        seconds, _ = best_of(reps, lambda stage=stage: stage(rows))
        row(stage.name, len(of), seconds, [])


def peers(python: str, sizes: dict[int, Labelled], train: Labelled, test: Labelled, rates: dict[str, float]) -> None:
    """Print what fastText and lingua make of the same texts, in their own interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "given.json"
        given.write_text(json.dumps({"sizes": {str(n): of[:2000] for n, of in sizes.items()}, "train": train,
                                     "test": test, "languages": LANGUAGES}), "utf-8")
        done = subprocess.run([python, HERE / "peers" / "quality_worker.py", given], capture_output=True, text=True)
    if done.returncode:
        print(f"\npeers: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}")
        return
    print("\npeers, on the same texts")
    for line in done.stdout.splitlines():
        made: dict[str, Any] = json.loads(line)
        row(made["name"], made["n"], made["seconds"], made["right"], rates.get(made["against"]))
        if "train" in made:
            print(f"  {'':<44} trains in {made['train']:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", help="an interpreter with fasttext and lingua")
    parser.add_argument("--passages", type=int, default=6000)
    parser.add_argument("--reps", type=int, default=3)
    options = parser.parse_args()
    about = machine()
    print(f"{about['processor']}, {about['measured']}; one core, CPU time")
    other = OtherWork()
    sizes = {size: passages(True, size, options.passages, lambda name, language: f"{language} {name}")
             for size in (60, 1500)}

    def worth(name: str, _: str) -> str:
        return "teaching" if name.startswith(("openstax", "python")) else "plain"

    train, test = (passages(held, 1500, options.passages, worth) for held in (False, True))
    rates = {f"language {size}": rate for size, rate in languages(sizes, options.reps).items()}
    rates["classes"] = classes(train, test, options.reps)
    whole_stages(sizes[1500], options.reps)
    if options.peers:
        peers(options.peers, sizes, train, test, rates)
    print(f"\nother processes took {other.cores()} cores meanwhile")


if __name__ == "__main__":
    sys.exit(main())
