"""What was computed of a beginning is used again: the same bits, from memory and from disk, and never a wrong one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

import petitlm
from petitlm.checkpoint import open_checkpoint
from petitlm.engine import prefix_files
from petitlm.engine.cache import CacheKind
from petitlm.engine.fingerprint import code_digest, weights_digest
from petitlm.engine.kernels import available_isas, make_kernels
from petitlm.engine.packing import quantize
from petitlm.engine.prefix_files import MARK, DiskStore
from petitlm.engine.prefixes import BLOCK, MemoryStore
from petitlm.engine.runner import EngineRunner, as_ints
from petitlm.errors import UsageError
from tests_shapes import SHAPES, packed, random_weights

SYSTEM = "You are a small model that answers briefly and says so when it does not know. "
ASKED = [SYSTEM + question for question in ("What is a prefix?", "Who was first?", "Where does it rain most?")]
OPTIONS = dict(max_tokens=8, logprobs=3)
exact = pytest.mark.skipif(not available_isas(), reason="built without a C++ compiler: the twins promise no bits")
pytestmark = exact


@pytest.fixture(scope="module")
def fresh(tiny_folder: Path) -> list:
    """The answers of a model that never saw anything before."""
    return [petitlm.load(tiny_folder, threads=1).generate(text, **OPTIONS).choices for text in ASKED]


@pytest.fixture(scope="module")
def packed_folder(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed") / "tiny-q8"
    quantize(open_checkpoint(tiny_folder), folder, 8, 1)
    return folder


def ask(model: petitlm.Model, fresh: list, which=(0, 1, 2)) -> list[int]:
    """Ask, check that every bit is as it should be, and return how many tokens were reused each time."""
    reused = []
    for i in which:
        result = model.generate(ASKED[i], **OPTIONS)
        assert result.choices == fresh[i]
        reused.append(result.n_reused)
    return reused


def blocks(folder: Path) -> list[Path]:
    """Return the files of blocks; the small one remembers the weights' digest."""
    return sorted(path for path in folder.iterdir() if path.stat().st_size > 200)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("kind", ["f32", "f16", "int8"])
def test_exported_positions_go_on_as_if_they_had_been_run(name: str, kind: CacheKind) -> None:
    config, kernels = SHAPES[name], make_kernels(1)
    runner = EngineRunner(config, packed(config, random_weights(config), 4, kernels), kernels, kind)
    ids = as_ints(np.random.default_rng(1).integers(0, config.n_vocab, 45))
    first, second, zeros = runner.session(1, 45), runner.session(3, 70), np.zeros(45, np.int32)
    whole = first.step(ids, as_ints(range(45)), zeros)
    for begin in (0, BLOCK):
        data = first.export(0, begin, begin + BLOCK)
        assert data.nbytes == first.n_bytes(begin, begin + BLOCK) == second.n_bytes(0, BLOCK)
        second.restore(2, begin, begin + BLOCK, data)
    rest = second.step(ids[32:], as_ints(range(32, 45)), zeros[32:] + 2)
    np.testing.assert_array_equal(rest.view(np.uint32), whole[32:].view(np.uint32))
    np.testing.assert_array_equal(second.export(2, 0, 32), first.export(0, 0, 32))


def test_texts_that_begin_alike_share_what_was_run(tiny_folder: Path, fresh: list) -> None:
    model = petitlm.load(tiny_folder, threads=1, prefix_cache=64 << 20)
    common = len(SYSTEM) // BLOCK * BLOCK
    first = ask(model, fresh)
    assert first[0] == 0 and min(first[1:]) >= common
    assert min(ask(model, fresh, (0, 1, 2, 0, 2))) >= len(ASKED[0]) // BLOCK * BLOCK - BLOCK
    assert model.generate(ASKED[1], n=3, **OPTIONS).n_reused >= common
    assert model.generate(ASKED[1], n=3, **OPTIONS).choices[0] == fresh[1][0]
    alone = petitlm.load(tiny_folder, threads=1)
    ask(alone, fresh)
    alone.generate("Something else", **OPTIONS)
    assert ask(alone, fresh, (0,))[0] == 0, "without a cache only the last text is known"


def test_the_least_recently_used_is_forgotten_first_and_ends_before_beginnings() -> None:
    store = MemoryStore(3)
    for name in (b"a", b"b", b"c"):
        store.put(name, np.zeros(1, np.uint8))
    assert store.touch(b"a") and not store.touch(b"x")
    store.put(b"d", np.zeros(1, np.uint8))
    assert [store.get(name, 1) is not None for name in (b"a", b"b", b"c", b"d")] == [True, False, True, True]
    assert store.used == 3


@pytest.mark.parametrize("blocks", [0.5, 1, 3, 7])
def test_a_small_budget_keeps_beginnings(tiny_folder: Path, fresh: list, blocks: float) -> None:
    model = petitlm.load(tiny_folder, threads=1, prefix_cache=1)
    size = int(blocks * model.runner.session(1, BLOCK).n_bytes(0, BLOCK))
    model = petitlm.load(tiny_folder, threads=1, prefix_cache=size)
    ask(model, fresh)
    model.prefixes._warm = None  # what the store alone knows
    assert ask(model, fresh, (0,)) == [min(int(blocks), len(SYSTEM) // BLOCK + 1) * BLOCK]
    assert model.prefixes._store.used <= size


def test_another_process_finds_them_on_disk(packed_folder: Path, tiny_folder: Path, tmp_path: Path) -> None:
    fresh = [petitlm.load(packed_folder, threads=1).generate(text, **OPTIONS).choices for text in ASKED]
    reused = [ask(petitlm.load(packed_folder, threads=1, prefix_cache=tmp_path / "cache"), fresh, (i,))[0]
              for i in (0, 0, 1, 2)]
    assert reused[0] == 0
    assert reused[1] == (len(ASKED[0]) - 1) // BLOCK * BLOCK
    assert min(reused[2:]) >= len(SYSTEM) // BLOCK * BLOCK
    n = len(blocks(tmp_path / "cache"))
    # The same weights in other numbers are another model, and nothing of one is used by the other.
    other = petitlm.load(tiny_folder, bits=4, threads=1, prefix_cache=str(tmp_path / "cache"))
    assert other.generate(ASKED[0], **OPTIONS).n_reused == 0
    assert len(blocks(tmp_path / "cache")) > n


def test_two_models_of_one_shape_never_meet(tiny_folder: Path, tmp_path: Path) -> None:
    from petitlm.safetensors_file import SafetensorsFile

    other = tmp_path / "other"
    other.mkdir()
    for file in tiny_folder.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    tensors = other / "model.safetensors"
    at = tensors.stat().st_size - SafetensorsFile(tensors).view("model.layers.1.self_attn.k_proj.weight").nbytes // 2
    data = bytearray(tensors.read_bytes())
    data[at] ^= 0x40  # one bit of one weight
    tensors.write_bytes(data)
    for folder in (tiny_folder, other):
        model = petitlm.load(folder, bits=32, threads=1, prefix_cache=tmp_path / "cache")
        assert model.generate(ASKED[0], **OPTIONS).n_reused == 0


@pytest.mark.parametrize("harm", ["a byte", "the name", "cut", "longer", "empty", "another's"])
def test_damaged_files_are_never_used(tiny_folder: Path, fresh: list, tmp_path: Path, harm: str) -> None:
    ask(petitlm.load(tiny_folder, threads=1, prefix_cache=tmp_path), fresh, (0,))
    for path in (files := blocks(tmp_path)):
        data = bytearray(path.read_bytes())
        if harm == "a byte":
            data[len(data) // 2] ^= 1
        if harm == "the name":
            data[len(MARK) + 3] ^= 1
        content = {"cut": data[:-1], "longer": data + b"\0", "empty": b"", "another's": None}.get(harm, data)
        path.write_bytes(files[files.index(path) - 1].read_bytes() if content is None else content)
    model = petitlm.load(tiny_folder, threads=1, prefix_cache=tmp_path)
    with pytest.warns(RuntimeWarning, match=r"prefix cache: .* is damaged and was removed; answers stay right") as told:
        assert ask(model, fresh, (0, 1))[0] == 0
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what was removed was made again
        assert ask(petitlm.load(tiny_folder, threads=1, prefix_cache=tmp_path), fresh, (0,))[0] > len(SYSTEM) - BLOCK


def test_a_full_disk_costs_no_answer(tiny_folder: Path, fresh: list, tmp_path: Path,
                                     monkeypatch: pytest.MonkeyPatch) -> None:
    model = petitlm.load(tiny_folder, threads=1, prefix_cache=tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(prefix_files, "write_file", full)
    with pytest.warns(RuntimeWarning, match="cannot be written .No space left on device"):
        ask(model, fresh)


def test_the_folder_keeps_its_size_and_others_files(tiny_folder: Path, fresh: list, tmp_path: Path) -> None:
    size = petitlm.load(tiny_folder, threads=1).runner.session(1, BLOCK).n_bytes(0, BLOCK) + 200
    (tmp_path / "thesis.txt").write_text("years of work")
    old, new = (tmp_path / f".{'ab' * 32}.prefix.{c * 12}.part" for c in "ab")
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    limit = 8 * size
    for _ in range(2):
        model = petitlm.load(tiny_folder, threads=1, prefix_cache=tmp_path, prefix_cache_limit=limit)
        ask(model, fresh)
    assert sum(path.stat().st_size for path in tmp_path.glob("*.prefix")) <= limit
    assert (tmp_path / "thesis.txt").exists() and new.exists() and not old.exists()
    last = petitlm.load(tiny_folder, threads=1, prefix_cache=tmp_path, prefix_cache_limit=limit)
    assert ask(last, fresh, (2,))[0] > 0, "the last text's beginning is what stayed"


PROGRAM = """
import sys, petitlm
folder, cache, limit, texts = sys.argv[1], sys.argv[2], int(sys.argv[3]), eval(sys.argv[4])
model = petitlm.load(folder, threads=1, prefix_cache=cache, prefix_cache_limit=limit)
print("ready", flush=True)
for i in range(int(sys.argv[5])):
    at = i % len(texts)
    print(at, list(model.generate(texts[at], max_tokens=8).ids), flush=True)
    model.prefixes._warm = None
"""


def start(folder: Path, cache: Path, limit: int, n: int, texts: list[str] = ASKED) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-W", "error", "-c", PROGRAM, str(folder), str(cache), str(limit),
                             repr(texts), str(n)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_share_a_folder(tiny_folder: Path, fresh: list, tmp_path: Path) -> None:
    """Both write, and remove what the other wrote, since the folder is too small for all texts."""
    limit = 8 * petitlm.load(tiny_folder, threads=1).runner.session(1, BLOCK).n_bytes(0, BLOCK)
    processes = [start(tiny_folder, tmp_path, limit, 60) for _ in range(2)]
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
        lines = out.splitlines()[1:]
        assert len(lines) == 60
        for line in lines:
            i, ids = int(line[0]), json.loads(line[2:])
            assert tuple(ids) == fresh[i][0].ids


def test_a_kill_leaves_nothing_that_is_trusted_wrongly(tiny_folder: Path, fresh: list, tmp_path: Path) -> None:
    for delay in (0.0, 0.004, 0.013):
        process = start(tiny_folder, tmp_path, 1 << 30, 100_000, [*ASKED, *(f"{i} {SYSTEM}" for i in range(500))])
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        ask(petitlm.load(tiny_folder, threads=1, prefix_cache=tmp_path), fresh)
    for path in blocks(tmp_path):  # what has its name is whole
        if path.suffix == ".prefix":
            assert DiskStore(tmp_path, 1 << 30).get(bytes.fromhex(path.stem), path.stat().st_size - 80) is not None


def test_weights_are_read_through_once(packed_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from petitlm.engine import fingerprint

    calls = []
    monkeypatch.setattr(fingerprint, "weights_digest", lambda w: calls.append(1) or weights_digest(w))
    for _ in range(3):
        petitlm.load(packed_folder, threads=1, prefix_cache=tmp_path)
    assert len(calls) == 1
    os.utime(packed_folder / "packed.safetensors", (5, 5))
    petitlm.load(packed_folder, threads=1, prefix_cache=tmp_path)
    assert len(calls) == 2, "a file that changed is read again"


def test_digests_tell_weights_and_code_apart() -> None:
    config, kernels = SHAPES["phi"], make_kernels(1)
    weights = packed(config, random_weights(config), 8, kernels)
    digest = weights_digest(weights)
    assert digest == weights_digest(packed(config, random_weights(config), 8, kernels))
    weights["blocks.0.attn.q.weight"].data[7] ^= 1
    assert digest != weights_digest(weights)
    assert code_digest("numpy") != code_digest("avx2") == code_digest("plain")


@pytest.mark.parametrize(("options", "message"), [
    (dict(prefix_cache=0), "prefix cache of 0 bytes keeps nothing"),
    (dict(prefix_cache="FILE"), "is a file; name a folder"),
    (dict(prefix_cache=100, layers="torch"), "works on the engine only"),
])
def test_what_cannot_be_kept_is_refused(tiny_folder: Path, tmp_path: Path, options: dict, message: str) -> None:
    if options.get("layers") == "torch":
        pytest.importorskip("torch", reason="the torch layers; petitlm[train] has it")
    if options["prefix_cache"] == "FILE":
        (tmp_path / "file").write_text("")
        options = {"prefix_cache": tmp_path / "file"}
    with pytest.raises(UsageError, match=message):
        petitlm.load(tiny_folder, **options)
