"""A GGUF file that is cut or changed anywhere is refused or read, and never makes the reader crash or hang."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petitlm.checkpoint import open_checkpoint
from petitlm.errors import PetitError
from petitlm.families import PRESETS, gguf_names

CONFIG = PRESETS["phi-2"].with_(n_layers=1, d_model=32, n_heads=2, d_head=16, n_kv_heads=2, d_mlp=32, n_vocab=6,
                                n_ctx=8, n_rotary=8, bos_id=0, eos_id=0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole small phi-2 with its tokenizer, as the `gguf` package writes it."""
    path = tmp_path_factory.mktemp("gguf") / "m.gguf"
    writer = gguf.GGUFWriter(path, "phi2")
    writer.add_context_length(8)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(32)
    writer.add_block_count(1)
    writer.add_head_count(2)
    writer.add_layer_norm_eps(1e-5)
    writer.add_rope_dimension_count(8)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["<|endoftext|>", "a", "b", "c", "ab", "[PAD5]"])
    writer.add_token_types([3, 1, 1, 1, 1, 5])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    rng = np.random.default_rng(0)
    for name, shape in {source.name: source.shape for source in gguf_names(CONFIG).values()}.items():
        values = rng.standard_normal(shape).astype(np.float32)
        form = gguf.GGMLQuantizationType.Q4_0
        if len(shape) == 2:
            writer.add_tensor(name, gguf.quants.quantize(values, form), raw_dtype=form)
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def read_everything(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.gguf"
        path.write_bytes(content)
        checkpoint = open_checkpoint(path)
        with np.errstate(all="ignore"):  # changed scales may be infinite or no numbers: that is not the reader's matter
            for name in checkpoint.names:
                assert checkpoint.read(name).shape == checkpoint.shape(name)
        checkpoint.tokenizer().encode("abc")


def test_the_file_itself_is_read(whole: Path) -> None:
    read_everything(whole.read_bytes())


@given(st.data())
def test_a_cut_file_is_refused(whole: Path, data: st.DataObject) -> None:
    content = whole.read_bytes()
    with pytest.raises(PetitError):  # the last 31 bytes at most are padding, which may be missing
        read_everything(content[: data.draw(st.integers(0, len(content) - 32))])


@settings(max_examples=150)
@given(st.data())
def test_a_changed_file_is_refused_or_read(whole: Path, data: st.DataObject) -> None:
    changed = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, 2400))] = data.draw(st.sampled_from([0, 1, 8, 9, 127, 255]))
    with contextlib.suppress(PetitError):  # nothing but a sentence for the user may come out
        read_everything(bytes(changed))
