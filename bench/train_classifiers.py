"""Make the classifiers that come with petit: language, education (with spam) and category.

    python bench/train_classifiers.py --packages /tmp/languages/lib/python3.11/site-packages [--out FOLDER]

Reads ../shared/data/text and ../shared/data/filter, and the packages that language_text.py names. A fifth of the
documents, chosen by name, is only measured on; the figures go into each model's card. The same inputs give the same
models on one machine; training takes about a minute on one core.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import language_text
from language_text import Labelled, is_held_out, piece, rows_of

from petitlm.data.quality.features import Features
from petitlm.data.quality.fitting import Fitting, calibrated, fit
from petitlm.data.quality.linear import Linear
from petitlm.data.quality.measures import measure

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "src/petitlm/data/quality/models"
CATEGORY = {  # by the longest beginning of a set's name
    "novels": "prose", "gutenberg": "prose", "tiny_shakespeare": "drama", "openstax_physics": "science",
    "openstax_astronomy": "science", "openstax_psychology": "society", "openstax_introduction_philosophy": "society",
    "openstax_us_history": "history", "us_speeches": "history", "python": "technical",
    "openstax_introduction_python": "technical", "ud_": "web", "sms": "web",
}
Sets = dict[str, list[str]]


def category(name: str) -> str:
    """The category that the texts of a set are declared to have."""
    return CATEGORY[max((start for start in CATEGORY if name.startswith(start)), key=len)]


def worth(name: str) -> str:
    """The label of a set's texts for the model of quality."""
    if name == "sms_spam":
        return "spam"
    return "education" if name.startswith(("openstax", "python")) else "plain"


def sets(shared: Path) -> tuple[Sets, Sets]:
    """Texts by set, for training and for measuring."""
    parts: tuple[Sets, Sets] = defaultdict(list), defaultdict(list)
    for path in sorted((shared / "data" / "text").glob("*.jsonl.gz")):
        name = path.name.removesuffix(".jsonl.gz")
        for row in rows_of(path) if "pairs" not in name else ():
            whole = row["text"]
            texts = [whole[i : i + 5000] for i in range(0, len(whole), 5000)] if name == "tiny_shakespeare" else [whole]
            for text in texts:
                by_text = name.startswith("ud_") or len(texts) > 1
                parts[is_held_out(text if by_text else row["source"] + row["title"])][name].append(text)
    for row in rows_of(shared / "data" / "filter" / "sms_spam.jsonl.gz"):
        if row["label"] in ("ham", "spam"):  # one row is a header
            parts[is_held_out(row["text"])][f"sms_{row['label']}"].append(row["text"])
    return parts


def pieces(rng: Random, texts: Sets, per_set: int) -> Labelled:
    """Pieces of 60 to 1,500 characters with the names of their sets; messages alone, and some of them joined."""
    made: Labelled = []
    for name, of in sorted(texts.items()):
        if name.startswith("sms"):
            made += [(text, name) for text in of]
            made += [(" ".join(rng.sample(of, rng.randint(2, 8))), name) for _ in range(per_set)]
        else:
            made += [(piece(rng, rng.choice(of), 60, 1500), name) for _ in range(per_set)]
    return [(text, name) for text, name in made if text]


def train(train_on: Labelled, tune_on: Labelled, features: Features, how: Fitting, card: dict[str, Any]) -> Linear:
    """A calibrated model, with what it was trained on in its card."""
    begin = time.process_time()
    digest = hashlib.sha256(json.dumps(train_on, ensure_ascii=False).encode()).hexdigest()
    model = fit(*map(list, zip(*train_on, strict=True)), features, how,  # type: ignore
                {**card, "n_texts": len(train_on), "texts_sha256": digest, "fitting": dataclasses.asdict(how)})
    model = calibrated(model, *map(list, zip(*tune_on, strict=True)))  # type: ignore
    print(f"{card['name']}: {len(train_on):,} texts, {time.process_time() - begin:.1f} s")
    return model


def finish(model: Linear, folder: Path, tests: dict[str, Labelled]) -> None:
    """Measure, write and print."""
    for name, of in tests.items():
        model.card[name] = measure(model, *map(list, zip(*of, strict=True)))  # type: ignore
        print(f"  {name}: {model.card[name]['accuracy']:.4f} of {len(of):,}, interval {model.card[name]['interval']}, "
              f"ECE {model.card[name]['ece']}")
    path = folder / f"{model.card['name']}.safetensors"
    model.save(path)
    print(f"  {path}: {path.stat().st_size:,} bytes, labels {', '.join(model.labels)}")


def language_model(shared: Path, packages: Path, folder: Path) -> None:
    data = language_text.labelled(shared, packages)
    cut = len(data) * 9 // 10
    card = {"name": "language", "trained_on": "../shared/data/text (but children's books, Shakespeare, pairs); "
            "messages of Django 6.1.3 (BSD-3-Clause); trigram frequencies of langdetect 1.0.9 (Apache-2.0); word "
            "frequencies of pyspellchecker 0.9.1 (MIT); program code; figures"}
    model = train(data[:cut], data[cut:], Features(2, 4, 1, 15),
                  Fitting(l2=3e-7, max_steps=60, label_weights={"und": 0.3}), card)
    rng, held = Random(9), defaultdict(list)
    for name, language, source, text in language_text.real(shared):
        if is_held_out(source):
            held[name, language].append(text)
    tests = {f"held_out_{size}": [(piece(rng, rng.choice(texts), size, size + 1), language)
                                  for (_, language), texts in sorted(held.items()) for _ in range(200)]
             for size in (60, 300, 1500)}
    lumps = language_text.messages(rng, packages, held_out=True)
    tests["held_out_messages"] = [(text, name if name in language_text.LANGUAGES else "und")
                                  for name, texts in sorted(lumps.items()) for text in texts[:60]]
    finish(model, folder, tests)


def other_model(shared: Path, folder: Path, name: str, label: Callable[[str], str], card: dict[str, Any]) -> None:
    training, measured = sets(shared)
    features, how = Features(3, 4, 1, 15), Fitting(l2=1e-5, max_steps=60)

    def named(rng: Random, texts: Sets, per_set: int) -> Labelled:
        return [(text, label(of)) for text, of in pieces(rng, texts, per_set)]

    model = train(named(Random(1), training, 1500), named(Random(2), measured, 150), features, how,
                  {"name": name, **card})
    tests = {"held_out": named(Random(3), measured, 200)}
    # The harder question: a set of which training saw nothing. Only labels that two sets share can be asked.
    unseen: Labelled = []
    for left_out in sorted(training):
        rest = {of: texts for of, texts in training.items() if of != left_out}
        if label(left_out) in map(label, rest):
            small = fit(*map(list, zip(*named(Random(4), rest, 500), strict=True)), features, how)  # type: ignore
            asked = pieces(Random(5), {left_out: measured.get(left_out) or training[left_out]}, 100)
            guesses, _ = small.best([text for text, _ in asked])
            share = sum(guess == label(left_out) for guess in guesses) / len(asked)
            model.card.setdefault("unseen_sets", {})[left_out] = round(share, 3)
            print(f"  without {left_out}: {share:.3f} of it are called {label(left_out)}")
            unseen += asked
    finish(model, folder, tests)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--packages", type=Path, help="site-packages of the environment that language_text.py names")
    parser.add_argument("--out", type=Path, default=MODELS)
    parser.add_argument("--only", choices=("language", "education", "category"))
    options = parser.parse_args()
    texts = "../shared/data/text (but pairs) and ../shared/data/filter; the label of a text is its set's"
    if options.only in (None, "language"):
        if options.packages is None:
            parser.error("--packages is needed for the model of languages; language_text.py says how to make it")
        language_model(options.shared, options.packages, options.out)
    if options.only in (None, "education"):
        other_model(options.shared, options.out, "education", worth, {"trained_on": texts, "limits": "no French spam"})
    if options.only in (None, "category"):
        other_model(options.shared, options.out, "category", category,
                    {"trained_on": texts, "limits": "French: prose, technical and web only"})


if __name__ == "__main__":
    main()
