"""How long a prompt is in o200k_base tokens, and whether it fits a limit.

Exact, offline, and cheap where the answer is already known from the length: a token has between 1 and 128 bytes. The encoding is built by `prepare`,
or when the first text is really counted, which a gateway whose models are all priced by the picture hardly ever does: it takes 75 MB.
Must not judge what the limit is (the model's entry in the catalogue does) and must not block the event loop: `check` and `measure` are for callers
on the loop, and tiktoken releases the interpreter lock while it works, though not while it is built: then every other thread stands still for a
quarter of a second, and longer where others want the processor. So whoever knows that texts will be counted calls `prepare` before it serves.
A damaged vocabulary is a RuntimeError at the start. Later, only `count` and `measure` of a text above TEXT_CHARS_MAX fail (ValueError); `fits` and
`check` answer False there.
"""

import asyncio
import threading

import tiktoken

from gateway.tokens import words
from gateway.tokens.vocabulary import TOKEN_BYTES_MAX, build_encoding, check_vocabulary

# tiktoken's regex engine overflows its stack on a run of whitespace of about a million characters (600,000 still pass)
# and panics. Half of that is far more than any prompt and keeps the worst case near 0.1 s of a thread.
TEXT_CHARS_MAX = 500_000

# Below this a count takes under 0.5 ms, less than the trip through a thread is worth.
INLINE_BYTES_MAX = 8 * 1024


class TokenCounter:
    """Thread-safe; holds the vocabulary once it is needed, so share one in a process."""

    def __init__(self) -> None:
        check_vocabulary()  # damaged: said now, not at the first prompt
        self._encoding: tiktoken.Encoding | None = None
        self._building = threading.Lock()
        self._words = words.Words(self.count)
        """For `measure` alone, which runs on the event loop's thread."""

    def prepare(self) -> None:
        """Build the encoding now. Blocks for half a second."""
        self._built()

    def count(self, text: str) -> int:
        """The number of tokens; special-token text counts as the ordinary text it is."""
        if len(text) > TEXT_CHARS_MAX:
            raise ValueError(f"text of {len(text)} characters; at most {TEXT_CHARS_MAX} are counted")
        return len(self._built().encode_ordinary(_without_lone_surrogates(text)))

    def fits(self, text: str, limit: int) -> bool:
        """Whether the text has at most `limit` tokens."""
        known = _known_by_length(text, limit)
        return known if known is not None else self.count(text) <= limit

    async def check(self, text: str, limit: int) -> bool:
        """`fits` for callers on the event loop: long texts are counted in a thread."""
        known = _known_by_length(text, limit)
        if known is not None:
            return known
        return await self.measure(text) <= limit

    async def measure(self, text: str) -> int:
        """`count` for callers on the event loop: in a thread where the text is long or the encoding is not built yet."""
        if self._encoding is not None:
            if len(text) <= words.TEXT_CHARS_MAX and text.isascii():
                return self._words.tokens(text)
            if _size_bytes(text) <= INLINE_BYTES_MAX:
                return self.count(text)
        return await asyncio.to_thread(self.count, text)

    def _built(self) -> tiktoken.Encoding:
        if self._encoding is None:
            with self._building:
                if self._encoding is None:
                    self._encoding = build_encoding()
        return self._encoding


def _known_by_length(text: str, limit: int) -> bool | None:
    """The answer, where the length alone gives it: every token has 1 to TOKEN_BYTES_MAX bytes."""
    # A character has at least one byte, so an absurdly long text is refused before it is even encoded.
    if len(text) > min(limit * TOKEN_BYTES_MAX, TEXT_CHARS_MAX):
        return False
    size_bytes = _size_bytes(text)
    if size_bytes <= limit:
        return True
    if size_bytes > limit * TOKEN_BYTES_MAX:
        return False
    return None


def _size_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(_without_lone_surrogates(text).encode())


def _without_lone_surrogates(text: str) -> str:
    r"""JSON may carry "\ud800", which UTF-8 cannot: pairs are joined, the lonely become U+FFFD, as tiktoken does."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
