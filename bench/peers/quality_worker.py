"""What fastText and lingua make of the texts in a JSON file; runs in their own environment (see data_quality.py)."""

import json
import sys
import tempfile
import time
from pathlib import Path


def say(name: str, against: str, guesses: list, of: list, seconds: float, **more: float) -> None:
    right = [guess == label.split()[0] for guess, (_, label) in zip(guesses, of, strict=True)]
    shares = [sum(right) / len(of)]
    if " " in of[0][1]:  # a language and the name of its set; the other share is without the documentation of Python
        prose = [one for one, (_, label) in zip(right, of, strict=True) if " python" not in label]
        shares.append(sum(prose) / len(prose))
    print(json.dumps({"name": name, "against": against, "n": len(of), "seconds": seconds, "right": shares, **more}))


def fasttext_classes(given: dict) -> None:
    import fasttext

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.txt"
        path.write_text("".join(f"__label__{label} {' '.join(text.split())}\n" for text, label in given["train"]))
        begin = time.process_time()
        model = fasttext.train_supervised(str(path), epoch=5, wordNgrams=2, dim=16, bucket=200_000, thread=1, verbose=0)
        trained = time.process_time() - begin
    lines = [" ".join(text.split()) for text, _ in given["test"]]
    begin = time.process_time()
    labels, _ = model.predict(lines)
    say("fastText, words and pairs of words", "classes", [label[0].removeprefix("__label__") for label in labels],
        given["test"], time.process_time() - begin, train=trained)


def lingua_languages(given: dict) -> None:
    from lingua import IsoCode639_1, LanguageDetectorBuilder

    codes = [getattr(IsoCode639_1, name.upper()) for name in given["languages"]]
    detector = LanguageDetectorBuilder.from_iso_codes_639_1(*codes).with_preloaded_language_models().build()
    for size, of in given["sizes"].items():
        of = of[:500] if int(size) > 100 else of
        begin = time.process_time()
        found = [detector.detect_language_of(text) for text, _ in of]
        say(f"lingua, of seven languages, {size} characters", f"language {size}",
            [language and language.iso_code_639_1.name.lower() for language in found], of, time.process_time() - begin)


given = json.loads(Path(sys.argv[1]).read_text("utf-8"))
for part in (fasttext_classes, lingua_languages):
    try:
        part(given)
    except ImportError as error:
        print(f"{part.__name__} left out: {error}", file=sys.stderr)
