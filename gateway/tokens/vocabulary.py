"""The o200k_base encoding (the tokenizer of GPT-4o), built from the vocabulary in this folder, never from the network.

Owns the vocabulary file and the pre-tokenising pattern. tiktoken itself would download the same file at first use, which
a gateway behind a guarded egress neither can nor should do.
Fails at start, not at the first prompt: a damaged file does not match its digest and raises RuntimeError.
"""

import base64
import gzip
import hashlib
from functools import cache
from importlib.resources import files

import tiktoken

# The digest tiktoken pins for its own download (tiktoken_ext/openai_public.py, o200k_base); a test compares the two.
VOCABULARY_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"

# The longest token of the vocabulary: 128 spaces. A test measures it.
TOKEN_BYTES_MAX = 128

# tiktoken_ext/openai_public.py, o200k_base; a test compares the two.
PATTERN = "|".join(
    [
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""\p{N}{1,3}""",
        r""" ?[^\s\p{L}\p{N}]+[\r\n/]*""",
        r"""\s*[\r\n]+""",
        r"""\s+(?!\S)""",
        r"""\s+""",
    ]
)


def read_vocabulary() -> bytes:
    """The file in tiktoken's own format: base64, a space, the rank, a newline. 20 ms. Raises RuntimeError where it is damaged."""
    raw = gzip.decompress(files("gateway.tokens").joinpath("o200k_base.tiktoken.gz").read_bytes())
    digest = hashlib.sha256(raw).hexdigest()
    if digest != VOCABULARY_SHA256:
        raise RuntimeError(f"gateway/tokens/o200k_base.tiktoken.gz is damaged: sha256 {digest}; reinstall the package")
    return raw


@cache  # the package's files do not change while it runs
def check_vocabulary() -> None:
    """Once a process. Raises RuntimeError where the file is damaged."""
    read_vocabulary()


def read_ranks() -> dict[bytes, int]:
    """Every token with its rank."""
    pairs = (line.split() for line in read_vocabulary().splitlines())
    return {base64.b64decode(token): int(rank) for token, rank in pairs}


@cache
def build_encoding() -> tiktoken.Encoding:
    """A quarter of a second and 75 MB, once a process, whoever asks: only where it is needed. The interpreter is held for much of it."""
    # No special tokens: a prompt that contains "<|endoftext|>" is text like any other.
    return tiktoken.Encoding("o200k_base", pat_str=PATTERN, mergeable_ranks=read_ranks(), special_tokens={})
