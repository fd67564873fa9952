"""Many texts to token ids at once: by our kernel where it knows the tokenizer, else by the `tokenizers` library.

Texts are data: the spelling of a special token inside one (`<|endoftext|>`) is encoded as the characters it is
written with, so that no document can end itself or speak for the program. Other added tokens (phi-2's runs of
spaces) are used.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from petitlm.errors import NotFoundError, RefusedError, UsageError
from petitlm.files import file_sha256
from petitlm.tokenizer import Tokenizer

Bytes = NDArray[np.uint8]
Bounds = NDArray[np.int64]


class Encoder(Protocol):
    """Whatever turns UTF-8 into ids; it can be pickled."""

    @property
    def n_ids(self) -> int:
        """The highest id plus one."""
        ...

    @property
    def eos_id(self) -> int:
        """The token that ends a document."""
        ...

    @property
    def sha256(self) -> str:
        """Of the tokenizer.json."""
        ...

    def encode(self, data: Bytes, bounds: Bounds) -> tuple[NDArray[np.uint32], Bounds]:
        """Encode N texts, the i-th of them `data[bounds[i] : bounds[i + 1]]`.

        Returns: ids of all (tokens,), and where those of each text begin and end (N + 1,).
        """
        ...


def load_encoder(path: Path | str) -> Encoder:
    """The fastest encoder for the tokenizer in a folder.

    Raises: NotFoundError; DamagedError; UsageError if the tokenizer names no end token.
    """
    from petitlm.data.tokens.native import NativeEncoder

    try:
        return NativeEncoder(Path(path))
    except RefusedError:
        pass
    except ImportError:
        warnings.warn("petitlm._text is not compiled: texts are encoded by the `tokenizers` library, which is slower; "
                      "install a C++ compiler and petit again", stacklevel=2)
    return LibraryEncoder(Path(path))


class LibraryEncoder:
    """The `tokenizers` library: for every tokenizer, and the twin that our kernel is compared with."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.sha256 = file_sha(folder)
        tokenizer = Tokenizer.load(folder)
        self.eos_id = end_token(tokenizer, folder)
        self.n_ids = tokenizer.n_ids
        self._backend = tokenizer.backend
        self._backend.encode_special_tokens = True  # as the text that they are, see above

    def __reduce__(self) -> tuple[Any, ...]:
        return LibraryEncoder, (self._folder,)

    def encode(self, data: Bytes, bounds: Bounds) -> tuple[NDArray[np.uint32], Bounds]:
        raw, ends = np.ascontiguousarray(data).data, bounds.tolist()
        texts = [str(raw[a:b], "utf-8") for a, b in zip(ends, ends[1:], strict=False)]
        found = [encoding.ids for encoding in self._backend.encode_batch_fast(texts, add_special_tokens=False)]
        offsets = np.zeros(len(found) + 1, np.int64)
        np.cumsum([len(ids) for ids in found], out=offsets[1:])
        return np.fromiter((id for ids in found for id in ids), np.uint32, int(offsets[-1])), offsets


def file_sha(folder: Path) -> str:
    """sha256 of the tokenizer.json in a folder, or of a file."""
    file = folder / "tokenizer.json" if folder.is_dir() else folder
    if not file.exists():
        raise NotFoundError(f"{file} is not there; text is encoded by a tokenizer.json")
    return file_sha256(file)


def end_token(tokenizer: Tokenizer, folder: Path) -> int:
    """The id that ends a document.

    Raises: UsageError if the tokenizer names none.
    """
    if tokenizer.eos_id is None:
        raise UsageError(f"the tokenizer in {folder} names no end token, so documents could not be told apart; "
                         'add "eos_token" to its tokenizer_config.json')
    return tokenizer.eos_id
