"""Train a byte-level byte-pair tokenizer on records: digits one by one, spaces as in GPT-2, one end token."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from petitlm.errors import UsageError

END = "<|endoftext|>"
_N_BYTES = 256


def train_tokenizer(texts: Iterable[str], folder: Path | str, n_vocab: int = 4096) -> Path:
    """Train on `texts` and write `tokenizer.json` and `tokenizer_config.json` into `folder`; same texts, same files.

    The end token has id 0; the 256 bytes are all there, so any text can be encoded. A pair is joined if it occurs at
    least twice and once in a thousand texts, so that invented names stay in pieces; the vocabulary is smaller than
    `n_vocab` where fewer pairs are that frequent.
    Returns: the folder, which `petitlm.tokenizer.Tokenizer.load` and `transformers` read.
    """
    if not _N_BYTES < n_vocab <= 1 << 16:
        raise UsageError(f"n_vocab={n_vocab} is out of range; choose from {_N_BYTES + 1} (bytes and end) to {1 << 16}")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    corpus = list(texts)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=n_vocab,
        min_frequency=max(2, len(corpus) // 1000),
        special_tokens=[END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    return _save(tokenizer.to_str(pretty=False), Path(folder))


def _save(tokenizer_json: str, folder: Path) -> Path:
    import json

    from petitlm.files import write_file

    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": END,
        "eos_token": END,
        "unk_token": END,
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 512,
    }
    write_file(folder / "tokenizer.json", [tokenizer_json.encode()])
    write_file(folder / "tokenizer_config.json", [json.dumps(config, indent=2).encode() + b"\n"])
    return folder
