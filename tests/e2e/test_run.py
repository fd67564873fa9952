"""`petit run` on a tiny checkpoint: the answer, its last line, pipes, JSON, and each kind of ending."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from e2e.command import COMMAND, Petit, environment, hear_ctrl_c, wait_until_idle

LAST_LINE = r"\d+ tokens? · [\d.,]+ tokens/s · [\d.]+ s( · \d+ of \d+ guesses right)? \(prompt: \d+ tokens?, [\d.]+ s\)"


def test_the_answer_is_on_stdout_and_the_last_line_says_how_fast(petit: Petit, tiny_folder: Path) -> None:
    done = petit("run", "-m", tiny_folder, "Hello", "--max-tokens", 8)
    assert done.returncode == 0
    assert done.stdout.endswith("\n")
    last = done.stderr.splitlines()[-1]
    assert re.fullmatch(LAST_LINE, last)
    assert last.startswith("8 tokens")


def test_json_says_the_same_as_the_stream(petit: Petit, tiny_folder: Path) -> None:
    args = ("run", "-m", tiny_folder, "Hello", "--max-tokens", 12, "--shape", "raw")
    streamed, value = petit(*args).stdout, json.loads(petit(*args, "--json").stdout)
    assert value["choices"][0]["text"] + "\n" == streamed
    assert (value["rendered"], value["prompt_tokens"], value["tokens"]) == ("Hello", 5, 12)
    assert value["tokens_per_s"] == pytest.approx(12 / value["decode_s"])
    assert value["choices"][0]["finish"] == "length"
    assert max(value["choices"][0]["ids"]) < 257, "rows without text are never sampled"


@pytest.mark.parametrize("args", [["-"], []])
def test_a_pipe_is_a_prompt(petit: Petit, tiny_folder: Path, args: list[str]) -> None:
    done = petit("run", "-m", tiny_folder, *args, "--json", "--max-tokens", 2, stdin="été\n")
    assert json.loads(done.stdout)["prompt"] == "été"


def test_the_shape_is_the_models_unless_said(petit: Petit, tiny_folder: Path) -> None:
    args = ("run", "-m", tiny_folder, "Hi", "--json", "--max-tokens", 1)
    assert json.loads(petit(*args).stdout)["rendered"] == "Instruct: Hi\nOutput:"
    assert json.loads(petit(*args, "--shape", "chat").stdout)["rendered"] == "Alice: Hi\nBob:"
    assert json.loads(petit(*args, "--system", "Be brief.").stdout)["rendered"].startswith("Be brief.\n\nInstruct:")


def test_the_same_seed_gives_the_same_answers_and_another_others(petit: Petit, tiny_folder: Path) -> None:
    args = ("run", "-m", tiny_folder, "Hello", "--max-tokens", 16, "--temperature", 1.5, "--n", 2, "--json")

    def ids(*more: object) -> list[list[int]]:
        return [choice["ids"] for choice in json.loads(petit(*args, *more).stdout)["choices"]]

    first = ids("--seed", 1, "--threads", 1)
    assert first == ids("--seed", 1, "--threads", 2)
    assert first[0] != first[1]
    assert first != ids("--seed", 2)


def test_several_answers_each_have_their_number(petit: Petit, tiny_folder: Path) -> None:
    done = petit("run", "-m", tiny_folder, "Hello", "--max-tokens", 3, "--temperature", 1, "--n", 3)
    assert all(f"[{i}] " in done.stdout for i in (1, 2, 3))
    assert done.stderr.startswith("9 tokens")


def test_logprobs_come_with_the_likeliest_others(petit: Petit, tiny_folder: Path) -> None:
    args = ("run", "-m", tiny_folder, "Hello", "--max-tokens", 4, "--logprobs", 3)
    tokens = json.loads(petit(*args, "--json").stdout)["choices"][0]["logprobs"]
    assert len(tokens) == 4
    for token in tokens:
        assert token["logprob"] == token["top"][0][1] < 0, "greedy takes the likeliest"
        assert [logprob for _, logprob in token["top"]] == sorted((x for _, x in token["top"]), reverse=True)
    assert petit(*args).stdout.count("\n") >= 6, "the answer, a heading and four rows"


def test_stops_and_biases_are_honoured(petit: Petit, tiny_folder: Path) -> None:
    args = ("run", "-m", tiny_folder, "Hello", "--shape", "raw", "--max-tokens", 20, "--json")
    x, y = ord("x"), ord("y")
    value = json.loads(petit(*args, "--logit-bias", f"{id_of(x)}=1000").stdout)
    assert value["choices"][0]["text"] == "x" * 20
    value = json.loads(petit(*args, "--logit-bias", f"{id_of(x)}=1000", "--stop", "xxx").stdout)
    assert (value["choices"][0]["text"], value["choices"][0]["finish"]) == ("", "stop")
    value = json.loads(petit(*args, "--logit-bias", f"{id_of(y)}=1000", "--stop", "xxx").stdout)
    assert value["choices"][0]["finish"] == "length"


def test_guessing_changes_how_fast_and_nothing_else(petit: Petit, tiny_folder: Path) -> None:
    args = ("run", "-m", tiny_folder, "to be or not to be, to be or", "--max-tokens", 60, "--temperature", 0.5,
            "--json")
    plain = json.loads(petit(*args, "--speculate", "none").stdout)
    assert (plain["guessed_tokens"], plain["acceptance"], plain["tokens_per_step"]) == (0, None, 1)
    for more in ([], ["--speculate", "lookup"], ["--draft", tiny_folder]):
        value = json.loads(petit(*args, *more).stdout)
        assert value["choices"] == plain["choices"]
        assert value["steps"] <= plain["steps"]
        assert 0 <= value["right_guesses"] <= value["guessed_tokens"]


def test_a_prefix_cache_is_found_by_the_next_command(petit: Petit, tiny_folder: Path, tmp_path: Path) -> None:
    args = ("run", "-m", tiny_folder, "Tell me something about the sea", "--max-tokens", 6, "--json", "--prefix-cache",
            "cache")
    first, second = (json.loads(petit(*args).stdout) for _ in range(2))
    assert (first["reused_tokens"], second["reused_tokens"]) == (0, (first["prompt_tokens"] - 1) // 16 * 16)
    assert second["choices"] == first["choices"]
    path = max((tmp_path / "cache").iterdir(), key=lambda path: path.stat().st_size)
    path.write_bytes(path.read_bytes()[:-1])
    third = petit(*args)
    assert json.loads(third.stdout)["choices"] == first["choices"]
    assert third.stderr.startswith("petit: prefix cache: ") and "was removed" in third.stderr


def id_of(byte: int) -> int:
    """Return the id of an ASCII letter in the byte tokenizer, whose ids follow the byte-level alphabet's order."""
    from tokenizers import pre_tokenizers

    return sorted(pre_tokenizers.ByteLevel.alphabet()).index(chr(byte))


@pytest.mark.parametrize(("args", "code", "said"), [
    (["run", "x" * 300], 2, "256"),
    (["run", "hi", "-m", "nowhere"], 3, "nowhere is not there"),
    (["run", "hi", "--draft", "nowhere"], 3, "nowhere"),
    (["run", "hi", "--speculate", "lookup", "--draft", "."], 2, "give one of them"),
    (["rum"], 2, "did you mean `petit run`?"),
])
def test_a_mistake_gives_one_sentence_and_its_exit_code(petit: Petit, tiny_folder: Path, args: list[str], code: int,
                                                        said: str) -> None:
    done = petit(*args, *(["-m", tiny_folder] if args[0] == "run" and "-m" not in args else []))
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("petit: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_damaged_file_is_5_and_a_pickle_is_6(petit: Petit, tiny_folder: Path, tmp_path: Path) -> None:
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(tiny_folder, broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert petit("run", "-m", broken, "hi").returncode == 5
    weights.rename(broken / "pytorch_model.bin")
    done = petit("run", "-m", broken, "hi")
    assert done.returncode == 6
    assert "pickle" in done.stderr


def test_input_that_is_not_utf8_is_refused(petit: Petit, tiny_folder: Path) -> None:
    done = petit("run", "-m", tiny_folder, "-", stdin=b"\xff\xfe")
    assert done.returncode == 6
    assert "not UTF-8" in done.stderr


def test_a_reader_that_leaves_early_is_no_error(tiny_folder: Path) -> None:
    done = subprocess.run(["bash", "-c", f"{COMMAND} run -m {tiny_folder} hi --n 8 --temperature 1 | true"],
                          capture_output=True, text=True, env=environment(), timeout=60)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_ctrl_c_ends_with_130_and_no_traceback(tiny_folder: Path) -> None:
    # Unbounded reading of a pipe that nobody writes to: the command is waiting when the signal comes.
    process = subprocess.Popen([COMMAND, "run", "-m", str(tiny_folder), "-"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(PYTHONUNBUFFERED="1"),
                               preexec_fn=hear_ctrl_c)
    wait_until_idle(process)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, b"")
    assert b"Traceback" not in err


def test_it_runs_where_torch_cannot_be_imported(petit: Petit, tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'transformers'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Refuse())\n")
    env = {"PYTHONPATH": str(tmp_path)}
    probe = subprocess.run([sys.executable, "-c", "import torch"], env=environment(**env), capture_output=True)
    assert probe.returncode != 0, "the blocker does not block"
    packed = tmp_path / "packed"
    assert petit("run", "-m", tiny_folder, "hi", "--max-tokens", 4, env=env).returncode == 0
    assert petit("quantize", tiny_folder, packed, env=env).returncode == 0
    assert petit("chat", "-m", packed, "--max-tokens", 4, stdin="hi\n", env=env).returncode == 0
    assert petit("info", packed, env=env).returncode == 0
    assert petit("bench", "-m", packed, "--reps", 1, "--prefill", 8, "--ctx", 4, "--gen", 4, env=env).returncode == 0
    done = petit("train", "nothing.toml", env=env)
    assert done.returncode in (2, 3)
