"""A corpus from its recipe: which steps run on what, round after round, until the grid is full.

The steps leave their results in a work folder beside the corpus, under names that are hashes of all they depend on. So
a build that was stopped goes on where it was, with any number of workers, and ends with the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from petitlm.data.balance.grid import Cell
from petitlm.data.balance.loop import Loop, Place, in_batches, targets
from petitlm.data.corpus import ending, ingest, steps
from petitlm.data.corpus.generate import Call
from petitlm.data.corpus.recipe import CorpusRecipe, as_plain
from petitlm.data.corpus.stage import Stage
from petitlm.data.corpus.steps import CLUSTERED, KEPT, OUT, Sharded
from petitlm.data.corpus.store import Done, Task, task
from petitlm.data.corpus.workers import Report, Workers
from petitlm.data.repeats.clusters import VERSION as DEDUP_VERSION
from petitlm.data.repeats.minhash import Repeats
from petitlm.data.tokens.pack import VERSION as PACK_VERSION
from petitlm.data.tokens.pack import shards_for
from petitlm.errors import RefusedError, UsageError
from petitlm.files import file_sha256

VERSION = 1
"""Of the steps themselves; raised by any change that alters their results."""


@dataclass
class Built:
    """All that the assembly of a corpus needs: what each step left."""

    recipe: CorpusRecipe
    steps: list[tuple[Task, Done, list[str], Any]] = field(default_factory=list)
    """(task, what it left, hashes of its inputs, its settings), in the order in which they ran."""
    sources: list[dict[str, Any]] = field(default_factory=list)
    """Rows of the table of sources."""
    absent: list[str] = field(default_factory=list)
    """Optional sources that are not there."""
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Counts of each stage, in the order in which they run."""
    before: dict[Place, int] = field(default_factory=dict)
    """Documents at each place before anything was generated."""
    after: dict[Place, int] = field(default_factory=dict)
    loop: Loop | None = None
    weights: dict[str, float] = field(default_factory=dict)
    documents: list[Done] = field(default_factory=list)
    rejected: list[Done] = field(default_factory=list)
    tokenizer: Path = Path()
    n_ids: int = 0
    """Of the tokenizer."""
    shards: list[Done] = field(default_factory=list)
    spans: Done | None = None
    variety: Done | None = None

    def count(self, tallies: Sequence[Mapping[str, Any]]) -> None:
        """Add the counts of a task to those of its stages."""
        for given in tallies:
            mine = self.stages.setdefault(given["stage"], {"stage": given["stage"], "n_in": 0, "n_kept": 0,
                                                           "n_rejected": 0, "reasons": Counter()})
            for name in ("n_in", "n_kept", "n_rejected"):
                mine[name] += given[name]
            mine["reasons"].update(given["reasons"])


class Build:
    """One build of a recipe in a work folder."""

    def __init__(self, recipe: CorpusRecipe, work: Path, workers: Workers, report: Report,
                 row_stages: Callable[[CorpusRecipe, Path], Sequence[Stage]]) -> None:
        self.recipe, self.work, self.workers, self.report = recipe, work, workers, report
        self.built = Built(recipe)
        self.stages = tuple(row_stages(recipe, work))
        dedup = {"max_per_problem": 4, **recipe.stages.get("dedup", {})}
        self.repeats = ingest.from_settings(Repeats, dedup, "dedup")

    def run(self) -> Built:
        """Run every step; what was done before is read."""
        waves = [self._ingest()]
        sifted = [self._sift(waves[0])]
        found = self._find_repeats(sifted)
        self.built.before = self.built.after = _have(found)
        loop = self.built.loop = Loop(self.recipe.balance, targets(self.recipe.balance))
        while calls := loop.next_calls(self.built.after):
            waves.append(self._generate(calls))
            sifted.append(self._sift(waves[-1]))
            found = self._find_repeats(sifted)
            self.built.after = _have(found)
        if not sum(self.built.after.values()):
            raise UsageError(f"recipe {self.recipe.name!r} keeps no document at all; its rejections say why: see "
                             f"{self.work}, and the counts {self._rejections()}")
        self._finish(waves, sifted, found)
        return self.built

    # -- the steps, each as a list of tasks ------------------------------------------------------------------------

    def _ingest(self) -> list[Done]:
        files, self.built.absent = ingest.source_files(self.recipe)
        self.built.sources = ingest.source_rows(self.recipe, files)
        jobs = []
        for source, path in files:
            settings = {**as_plain(source), "policy": as_plain(self.recipe.policy), "shards": self.recipe.shards}
            inputs = [file_sha256(path), *ingest.licence_hashes(source, self.recipe.root)]
            payload = ingest.Ingest(source, path, self.recipe.root, self.recipe.policy, self.recipe.shards)
            jobs.append((task(self.work, "ingest", ingest.VERSION, settings, [path.name, *inputs], ingest.ingest,
                              payload), inputs, settings))
        return self._run(jobs)

    def _generate(self, calls: Sequence[Call]) -> list[Done]:
        jobs = []
        for batch in in_batches(calls):
            keys = [call.key() for call in batch]
            payload = (tuple(batch), self.recipe.shards)
            jobs.append((task(self.work, "generate", VERSION, keys, [self.recipe.shards], steps.generate, payload),
                         [], keys))
        return self._run(jobs)

    def _sift(self, wave: Sequence[Done]) -> list[Done]:
        described = [{"stage": s.name, "version": s.version, "settings": dict(s.settings)} for s in self.stages]
        inputs = [done.files[KEPT] for done in wave]
        documents = tuple(Sharded(done.path(KEPT), tuple(done.counts["groups"])) for done in wave)
        jobs = []
        for shard in range(self.recipe.shards):
            settings = {"stages": described, "dedup": self.repeats.settings, "shard": [shard, self.recipe.shards],
                        "splits": [self.recipe.mix.valid, self.recipe.mix.test]}
            payload = steps.Sift(shard, documents, self.stages, self.repeats, self.recipe.mix.valid,
                                 self.recipe.mix.test)
            jobs.append((task(self.work, "sift", VERSION, settings, inputs, steps.sift, payload), inputs, settings))
        return self._run(jobs)

    def _find_repeats(self, sifted: Sequence[Sequence[Done]]) -> Done:
        done = [one for wave in sifted for one in wave]
        inputs = [one.files[steps.SIGNS] for one in done] + [one.files[steps.CELLS] for one in done]
        job = task(self.work, "repeats", DEDUP_VERSION, self.repeats.settings, inputs, steps.find_repeats,
                   ([one.folder for one in done], self.repeats))
        return self._run([(job, inputs, self.repeats.settings)])[0]

    def _finish(self, waves: Sequence[Sequence[Done]], sifted: Sequence[Sequence[Done]], found: Done) -> None:
        built, recipe = self.built, self.recipe
        groups = {source["source_id"]: source["group"] for source in built.sources}
        tokenizer, tokenizer_key = self._tokenizer(sifted, groups)
        settled = self._run([self._settle(shard, sifted, found, tokenizer, tokenizer_key, groups)
                             for shard in range(recipe.shards)])
        self._measure_variety(settled)
        tokens: Counter[str] = Counter()
        for done in settled:
            tokens.update(done.counts["tokens"])
        built.weights = ending.weights_of(tokens, recipe.mix.shares, recipe.mix.max_epochs)
        everyone = {**dict.fromkeys([*groups.values(), "procedural"], 0.0), **built.weights}
        settings = {"weights": everyone, "groups": groups, "tokenizer": tokenizer_key, "seed": recipe.tokens.seed}
        built.documents = self._run([(
            task(self.work, "finish", PACK_VERSION, settings, [done.files[KEPT]], ending.finish,
                 ending.Finish(done.folder, everyone, groups, tokenizer, recipe.tokens.seed)),
            [done.files[KEPT]], settings) for done in settled])
        built.tokenizer = tokenizer
        self._pack(tokenizer)
        self._gather(waves, sifted, settled)

    def _tokenizer(self, sifted: Sequence[Sequence[Done]], groups: Mapping[str, str]) -> tuple[Path, Any]:
        plan = self.recipe.tokens
        if plan.tokenizer:
            folder = self.recipe.root / plan.tokenizer
            return folder, file_sha256(folder / "tokenizer.json")
        done = [one for wave in sifted for one in wave]
        inputs = [one.files[KEPT] for one in done]
        settings = {"n_vocab": plan.n_vocab, "sample_bytes": plan.sample_bytes, "groups": dict(groups)}
        job = task(self.work, "tokenizer", VERSION, settings, inputs, ending.make_tokenizer,
                   ([one.folder for one in done], plan.n_vocab, plan.sample_bytes, groups))
        made = self._run([(job, inputs, settings)])[0]
        return made.folder, made.files["tokenizer.json"]

    def _settle(self, shard: int, sifted: Sequence[Sequence[Done]], found: Done, tokenizer: Path, tokenizer_key: Any,
                groups: Mapping[str, str]) -> tuple[Task, list[str], Any]:
        mine = [wave[shard] for wave in sifted]
        inputs = [*(done.files[KEPT] for done in mine), found.files[CLUSTERED]]
        settings = {"tokenizer": tokenizer_key, "groups": dict(groups)}
        payload = ending.Settle(shard, tuple(done.folder for done in mine), found.path(CLUSTERED), tokenizer, groups)
        return task(self.work, "settle", VERSION, settings, inputs, ending.settle, payload), inputs, settings

    def _measure_variety(self, settled: Sequence[Done]) -> None:
        inputs = [done.files[KEPT] for done in settled]
        job = task(self.work, "variety", VERSION, {}, inputs, ending.measure_variety, [done.folder for done in settled])
        self.built.variety = self._run([(job, inputs, {})])[0]
        if refused := self.built.variety.counts["refused"]:
            raise RefusedError(f"generated texts repeat too much: {'; '.join(refused[:3])}"
                               f"{' ...' if len(refused) > 3 else ''}; ask for fewer documents of these cells in "
                               "[balance], or leave the generator out")

    def _pack(self, tokenizer: Path) -> None:
        from petitlm.data.tokens.encoder import load_encoder

        built = self.built
        n_ids = built.n_ids = load_encoder(tokenizer).n_ids
        n_shards = shards_for(sum(done.counts["packed"] for done in built.documents), self.recipe.tokens.shard_tokens)
        parts = tuple(done.folder for done in built.documents)
        inputs = [sha for done in built.documents for name, sha in done.files.items() if name != ending.DOCS]
        jobs = []
        for number in range(n_shards):
            settings = {"shard": [number, n_shards], "n_ids": n_ids}
            jobs.append((task(self.work, "pack", PACK_VERSION, settings, inputs, ending.pack_shard,
                              ending.Shard(parts, number, n_shards, n_ids)), inputs, settings))
        built.shards = self._run(jobs)
        inputs = [sha for done in built.shards for name, sha in done.files.items() if name.startswith("spans")]
        job = task(self.work, "spans", PACK_VERSION, {}, inputs, ending.pack_spans, [d.folder for d in built.shards])
        built.spans = self._run([(job, inputs, {})])[0]

    def _gather(self, waves: Sequence[Sequence[Done]], sifted: Sequence[Sequence[Done]],
                settled: Sequence[Done]) -> None:
        sharded = [Sharded(done.path(OUT), tuple(done.counts["out"])) for wave in waves for done in wave]
        first = [done.files[OUT] for wave in waves for done in wave]
        jobs = []
        for shard in range(self.recipe.shards):
            whole = [*(wave[shard] for wave in sifted), settled[shard]]
            inputs = [*first, *(done.files[OUT] for done in whole)]
            settings = {"shard": [shard, self.recipe.shards]}
            jobs.append((task(self.work, "rejected", VERSION, settings, inputs, ending.gather_rejected,
                              (sharded, [done.folder for done in whole], shard)), inputs, settings))
        self.built.rejected = self._run(jobs)

    def _run(self, jobs: Sequence[tuple[Task, list[str], Any]]) -> list[Done]:
        done = self.workers.run([job for job, _, _ in jobs], self.report)
        for (job, inputs, settings), left in zip(jobs, done, strict=True):
            self.built.steps.append((job, left, inputs, settings))
            self.built.count(left.counts.get("stages", ()))
        return done

    def _rejections(self) -> dict[str, dict[str, int]]:
        return {name: dict(counts["reasons"]) for name, counts in self.built.stages.items() if counts["reasons"]}


def _have(found: Done) -> dict[Place, int]:
    """Documents at each place, as the search for repeats counted them."""
    return {(Cell(category, language, level), split): n
            for category, language, level, split, n in found.counts["cells"]}

