"""`petit train`: a recipe becomes a model that answers, with its card and the story of its run."""

from __future__ import annotations

import dataclasses
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from petitlm.cli.options import json_option
from petitlm.cli.output import note, plain, print_json, progress
from petitlm.errors import ConfigError

if TYPE_CHECKING:
    from petitlm.checkpoint import Checkpoint
    from petitlm.config import ModelConfig
    from petitlm.data import Dataset, Mixture, Record, Scores
    from petitlm.model import Decoder
    from petitlm.tokenizer import Tokenizer
    from petitlm.train.batches import Row
    from petitlm.train.recipe import TrainConfig

ROW_MULTIPLE = 64  # the embedding gets whole tiles of rows; those beyond the tokenizer's ids are never sampled
FIGURES = ("n_params", "config", "data", "training", "heldout", "engine", "levels", "misses")


@dataclasses.dataclass(frozen=True)
class TokenizerPlan:
    """How the tokenizer is trained."""

    n_vocab: int = 4096
    """Most tokens; fewer where the text holds fewer pairs worth joining."""
    n_records: int = 40_000
    """Records of the training split that it is trained on."""


@dataclasses.dataclass(frozen=True)
class TeachingPlan:
    """How records are shown, and how answers are measured."""

    prompt_weight: float = 0.1
    """Weight in the loss of a prompt's token; an answer's token weighs 1."""
    n_watched: int = 300
    """Held-out records answered at each evaluation during the run."""
    max_answer: int = 96
    """Tokens after which an answer that has not ended counts as it is."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that decides what `petit train` makes."""

    name: str
    seed: int
    card: str
    """Template of the model's card, a file beside the recipe."""
    prompt: str
    """Prompt shape that the model is used with by default."""
    pack_bits: int
    """Bits of a weight in the packed model; 0: do not pack."""
    data: Mixture
    tokenizer: TokenizerPlan
    teaching: TeachingPlan
    model: dict[str, Any]
    """Fields of ModelConfig, but for those that the tokenizer decides."""
    train: TrainConfig


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run (runs/ and the recipe's name).")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Budget instead of the recipe's.")
@click.option("--threads", "-t", type=click.IntRange(min=1), help="Threads instead of the recipe's.")
@json_option
def command(recipe: Path, out: Path | None, minutes: float | None, threads: int | None, as_json: bool) -> None:
    """Train a model by RECIPE, a TOML file such as recipes/default-model.toml.

    The folder of the run gets model/ (as transformers reads it), packed/ (for the engine), log.jsonl and run.json.
    Ctrl-C ends the run after the step at hand and keeps what was learnt.
    """
    from petitlm.train.card import read_template

    plan = read_recipe(recipe, minutes, threads)
    template = read_template(recipe.parent / plan.card, FIGURES)
    out = out or Path("runs") / plan.name
    dataset = make_data(plan)
    story = {"recipe": plain(plan), "versions": versions(), "data": dataset.manifest()}
    story |= teach(plan, dataset, out)
    figures, measured = measure(plan, dataset, out, story)
    card = template.substitute(figures)
    finish(plan, out, card, {**story, **measured})
    if as_json:
        print_json({**story["run"], "folder": out, "heldout": measured["heldout"]})
        return
    click.echo(figures["heldout"])
    note(f'trained for {story["run"]["seconds"] / 60:.1f} minutes; try it: petit run -m {out / "model"} "..."')


def read_recipe(path: Path, minutes: float | None = None, threads: int | None = None) -> Recipe:
    """Return the recipe at `path`, with a budget and threads given by hand in place of its own.

    Raises: NotFoundError, ConfigError.
    """
    from petitlm.data import Mixture
    from petitlm.recipes import check_keys, from_table, read_toml
    from petitlm.train.recipe import TrainConfig

    tables = read_toml(path)
    keys = [field.name for field in dataclasses.fields(Recipe)]
    check_keys(tables, keys, path.name, keys)
    by_hand: dict[str, Any] = {"minutes": minutes, "steps": 0} if minutes else {}
    by_hand |= {"threads": threads} if threads else {}
    parts = {"data": from_table(Mixture, {"seed": tables["seed"], **tables["data"]}, "data"),
             "tokenizer": from_table(TokenizerPlan, tables["tokenizer"], "tokenizer"),
             "teaching": from_table(TeachingPlan, tables["teaching"], "teaching"),
             "train": from_table(TrainConfig, {**tables["train"], **by_hand}, "train")}
    return from_table(Recipe, {**tables, **parts}, path.name)


def make_data(plan: Recipe) -> Dataset:
    """Make the recipe's records, and say what was rejected."""
    from petitlm.data import make_records

    note(f"making {plan.data.n_train + 2 * plan.data.n_heldout} records")
    dataset = make_records(plan.data)
    note(f"{len(dataset.records)} records verified, {len(dataset.rejected)} drafts rejected")
    return dataset


def teach(plan: Recipe, dataset: Dataset, out: Path) -> dict[str, Any]:
    """Train the recipe's model on the training split and leave it in OUT/model; return what happened."""
    from petitlm.data import TRAIN
    from petitlm.model import Decoder, export
    from petitlm.train.batches import Batches
    from petitlm.train.log import EventLog
    from petitlm.train.loop import train

    records = dataset.split(TRAIN)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer(plan, records, out / "tokenizer")
    config = make_config(plan, tokenizer)
    decoder = Decoder(config)
    decoder.initialise(plan.seed)
    batches = Batches(make_rows(plan, records, tokenizer), config, plan.train.micro_tokens, plan.seed)
    watched = watched_records(plan, dataset)

    def save(decoder: Decoder) -> None:
        export(decoder, out / "model", tokenizer, extra={"petit": {"prompt": plan.prompt}})

    def watch(decoder: Decoder) -> dict[str, Any]:
        scores = score(plan, decoder, tokenizer, watched)
        return {"exact": {f"{c.family}/{c.split}": round(c.share, 3) for c in scores.summed("level", "language")}}

    log_file = EventLog(out / "log.jsonl", time.monotonic)
    with log_file as log, progress("training") as report, stop_on_interrupt() as stop:

        def tell(event: dict[str, Any]) -> None:
            log(event)
            if "progress" in event:
                report(int(1000 * event["progress"]), 1000, f"loss {event['loss']:.3f}")

        summary = train(decoder, batches, plan.train, log=tell, save=save, evaluate=watch, stop=stop)
    return {"run": dataclasses.asdict(summary), "model": dataclasses.asdict(config), "n_ids": tokenizer.n_ids,
            "n_train_tokens": batches.n_tokens}


def make_tokenizer(plan: Recipe, records: Sequence[Record], folder: Path) -> Tokenizer:
    """Train the tokenizer on the first records of the training split."""
    from petitlm.data import text_of, train_tokenizer
    from petitlm.tokenizer import Tokenizer

    texts = (text_of(record) for record in records[: plan.tokenizer.n_records])
    return Tokenizer.load(train_tokenizer(texts, folder, plan.tokenizer.n_vocab))


def make_config(plan: Recipe, tokenizer: Tokenizer) -> ModelConfig:
    """Return the recipe's model shape, with as many rows as its tokenizer needs."""
    from petitlm.config import ModelConfig
    from petitlm.recipes import from_table

    decided = {"n_vocab": -(-tokenizer.n_ids // ROW_MULTIPLE) * ROW_MULTIPLE,
               "eos_id": tokenizer.eos_id, "bos_id": tokenizer.bos_id}
    if given := sorted(set(decided) & set(plan.model)):
        raise ConfigError(f"[model] sets {', '.join(given)}, which the tokenizer decides; leave it out")
    return from_table(ModelConfig, {**plan.model, **decided}, "model")


def make_rows(plan: Recipe, records: Sequence[Record], tokenizer: Tokenizer) -> list[Row]:
    """Encode records as rows of tokens with their weights in the loss."""
    from petitlm.data import encode_records
    from petitlm.train.batches import Row

    encoded = encode_records(records, tokenizer, plan.teaching.prompt_weight)
    return [Row(*encoded.record(i)) for i in range(len(encoded))]


def watched_records(plan: Recipe, dataset: Dataset) -> list[Record]:
    """Return some of both held-out splits, for a look at the run as it goes."""
    from petitlm.data import HELDOUT_STRUCTURES, HELDOUT_VALUES

    half = plan.teaching.n_watched // 2
    return dataset.split(HELDOUT_VALUES)[:half] + dataset.split(HELDOUT_STRUCTURES)[:half]


def score(plan: Recipe, decoder: Decoder, tokenizer: Tokenizer, records: Sequence[Record]) -> Scores:
    """Measure exact match on torch layers, taking the likeliest token each time."""
    from petitlm.data import exact_match
    from petitlm.model.greedy import greedy

    def generate(prompts: list[str]) -> list[str]:
        ends = [] if tokenizer.eos_id is None else [tokenizer.eos_id]
        answers = greedy(decoder, [tokenizer.encode(prompt) for prompt in prompts], plan.teaching.max_answer, ends)
        return [until_stop(tokenizer.decode(answer)) for answer in answers]

    return exact_match(records, generate)


def measure(plan: Recipe, dataset: Dataset, out: Path, story: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """Answer every held-out record with the saved model, and packed too; return the card's figures and all scores."""
    from petitlm.checkpoint import open_checkpoint
    from petitlm.data import TRAIN
    from petitlm.model import load_decoder

    heldout = [record for record in dataset.records if record.split != TRAIN]
    checkpoint = open_checkpoint(out / "model")
    note(f"answering {len(heldout)} held-out records")
    scores = score(plan, load_decoder(checkpoint), checkpoint.tokenizer(), heldout)
    packed = score_packed(plan, checkpoint, out / "packed", heldout) if plan.pack_bits else None
    figures = {
        "n_params": f"{checkpoint.n_params:,}",
        "config": as_list({**story["model"], "tokens in the vocabulary": story["n_ids"]}),
        "data": as_list(story["data"]["splits"] | {"tokens of the training split": story["n_train_tokens"]}),
        "training": as_list({name: round(value, 2) if isinstance(value, float) else value
                             for name, value in story["run"].items()}),
        "heldout": scores.to_markdown(),
        "levels": scores.to_markdown(by_level=True),
        "engine": packed.to_markdown() if packed else "Not packed.\n",
        "misses": some_misses(scores, heldout),
    }
    measured = {"heldout": scores.to_dict(), f"heldout_{plan.pack_bits}_bits": packed.to_dict() if packed else None}
    return figures, measured


def score_packed(plan: Recipe, checkpoint: Checkpoint, folder: Path, records: Sequence[Record]) -> Scores:
    """Pack the model and measure exact match on the engine, as it will be used."""
    import petitlm
    from petitlm.data import exact_match

    pack(plan, checkpoint, folder)
    model = petitlm.load(folder, bits=plan.pack_bits, threads=plan.train.threads)
    options = {"max_tokens": plan.teaching.max_answer, "stop": stops()}
    return exact_match(records, lambda prompts: [model.generate(prompt, **options).text for prompt in prompts])


def stops() -> tuple[str, ...]:
    """Return every text that ends an answer in a shape that records are rendered in: the other side's next turn."""
    from petitlm.prompts import SHAPES

    return tuple(stop for shape in SHAPES.values() for stop in shape.stops)


def until_stop(text: str) -> str:
    """Return `text` up to the first stop."""
    return text[: min((at for at in map(text.find, stops()) if at >= 0), default=len(text))]


def pack(plan: Recipe, checkpoint: Checkpoint, folder: Path) -> None:
    """Write the packed model; 4 bits are calibrated with the kind of records that it learnt from."""
    from petitlm.cli.calibration import calibration_sequences
    from petitlm.engine.packing import quantize

    sequences = calibration_sequences(checkpoint, None, plan.data) if plan.pack_bits == 4 else []
    with progress("packing") as report:
        quantize(checkpoint, folder, plan.pack_bits, plan.train.threads, report,
                 "gptq" if sequences else "nearest", sequences)


def finish(plan: Recipe, out: Path, card: str, story: dict[str, Any]) -> None:
    """Write the model again with its card, pack it again from there, and write run.json last."""
    from petitlm.checkpoint import open_checkpoint
    from petitlm.files import write_json
    from petitlm.model import export, load_decoder

    checkpoint = open_checkpoint(out / "model")
    export(load_decoder(checkpoint), out / "model", checkpoint.tokenizer(), card=card,
           extra={"petit": {"prompt": plan.prompt}})
    if plan.pack_bits:
        pack(plan, open_checkpoint(out / "model"), out / "packed")
    write_json(out / "run.json", plain(story))


def as_list(values: dict[str, Any]) -> str:
    """Return names and values as a Markdown list."""
    return "".join(f"- {name.replace('_', ' ')}: {value:,}\n" if type(value) is int else
                   f"- {name.replace('_', ' ')}: {value}\n" for name, value in values.items() if value is not None)


def some_misses(scores: Scores, records: Sequence[Record], each: int = 2) -> str:
    """Return the first wrong answers of each family and split, so that a reader sees what going wrong looks like."""
    by_id = {record.id: record for record in records}
    shown: dict[tuple[str, str], list[str]] = {}
    for id, wanted, given in scores.misses:
        record = by_id[id]
        lines = shown.setdefault((record.family, record.split), [])
        if len(lines) < each:
            lines.append(f"- {record.family}, {record.split}: {record.turns[-1].question!r} was answered {given!r}, "
                         f"not {wanted!r}\n")
    return "".join(line for lines in shown.values() for line in lines) or "None.\n"


def versions() -> dict[str, str]:
    """Return what a rebuild must have in common: code, libraries, processor."""
    return {name: version(name) for name in ("petitlm", "torch", "tokenizers", "numpy")} | {
        "python": platform.python_version(), "processor": platform.machine()}


@contextmanager
def stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether Ctrl-C was pressed once; a second Ctrl-C ends the program at once."""
    pressed = threading.Event()

    def press(_signal: int, _frame: object) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()
        note("ending after this step; Ctrl-C again to leave at once")

    previous = signal.signal(signal.SIGINT, press)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, previous)
