"""Records: texts that know their origin. Made by verified generators, split by problem, encoded, scored."""

from petitlm.data.build import REASONS, Dataset, Mixture, make_records, remake
from petitlm.data.encoding import Encoded, encode_records
from petitlm.data.generators import GENERATORS, Generator, generator
from petitlm.data.record import (
    HELDOUT_STRUCTURES,
    HELDOUT_VALUES,
    SPLITS,
    TRAIN,
    Origin,
    Problem,
    Record,
    Rejected,
    Turn,
)
from petitlm.data.rendering import prompt_of, text_of
from petitlm.data.scoring import Cell, Scores, exact_match, wilson_interval
from petitlm.data.vocabulary import train_tokenizer

__all__ = [
    "GENERATORS", "HELDOUT_STRUCTURES", "HELDOUT_VALUES", "REASONS", "SPLITS", "TRAIN",
    "Cell", "Dataset", "Encoded", "Generator", "Mixture", "Origin", "Problem", "Record", "Rejected", "Scores", "Turn",
    "encode_records", "exact_match", "generator", "make_records", "prompt_of", "remake", "text_of", "train_tokenizer",
    "wilson_interval",
]  # fmt: skip
