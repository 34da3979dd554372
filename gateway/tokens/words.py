"""Counts short ASCII texts word by word, from counts of words seen before: what the tokenizer would say, without its trip out of the interpreter.

The tokenizer cuts a text by its pattern first and encodes each piece by itself, so the pieces' counts add up to the text's; a test compares the two.
It hands the interpreter to another thread meanwhile, and on a busy event loop waits longer to get it back than it works. Bounded; not thread-safe.
"""

import re
from collections.abc import Callable

TEXT_CHARS_MAX = 4_096
"""Longer texts are worth the trip."""
WORDS_MAX = 20_000
"""Some 2 MB; then all are forgotten."""

# vocabulary.PATTERN for ASCII alone, where \p{Lu} is A-Z, \p{Ll} a-z, \p{N} 0-9, and the other classes of letters are empty.
_PIECE = re.compile(
    r"[^\r\na-zA-Z0-9]?[A-Z]*[a-z]+(?:'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL]))?"
    r"|[^\r\na-zA-Z0-9]?[A-Z]+[a-z]*(?:'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL]))?"
    r"|[0-9]{1,3}"
    r"| ?[^\sa-zA-Z0-9]+[\r\n/]*"
    r"|\s*[\r\n]+"
    r"|\s+(?!\S)"
    r"|\s+",
    re.ASCII,
)


class Words:
    """Tokens by piece, asked of `count` once each."""

    def __init__(self, count: Callable[[str], int]) -> None:
        self._count = count
        self._known: dict[str, int] = {}

    def tokens(self, text: str) -> int:
        """Of an ASCII text of at most TEXT_CHARS_MAX characters."""
        known, total = self._known, 0
        for piece in _PIECE.findall(text):
            tokens = known.get(piece)
            if tokens is None:
                if len(known) >= WORDS_MAX:
                    known.clear()
                tokens = known[piece] = self._count(piece)
            total += tokens
        return total
