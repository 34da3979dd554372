"""Takes a caller's prompt and an upstream's key out of the upstream's own words, before these are stored or logged. Pure.

Upstreams quote what they were sent, whole, cut or escaped, and their words outlive the prompt's retention. Fails on the safe side: words that
happen to stand in the prompt as well are taken for a quotation.
"""

from base64 import b64encode

ECHO_CHARS_MIN = 12
"""The shortest run that counts as a quotation; a prompt of fewer characters counts whole."""
PROMPT_CHARS_MIN = 4
"""Shorter prompts tell nothing, and would be found everywhere."""
TEXT_CHARS_MAX = 500
"""What is kept of an upstream's words. Each character may cost a search through the prompt: 1 ms together, at the worst 25 ms."""
KEY_CHARS_MIN = 8
"""The shortest run of a key that counts; a shorter key counts whole."""


def without_echo(text: str, *, prompt: str, secret: str) -> str:
    """The text, cut to TEXT_CHARS_MAX, with every run that it shares with the prompt as `[prompt]` and with the secret as `[key]`."""
    if secret:
        text = text.replace(secret, "[key]")
    text = text[:TEXT_CHARS_MAX]
    if len(secret) >= KEY_CHARS_MIN:
        for form in (secret, b64encode(secret.encode()).decode()):
            text = _masked(text, _as_code(text), _as_code(form), KEY_CHARS_MIN, "[key]")
    prompt = prompt.strip().lower()
    window = min(ECHO_CHARS_MIN, len(prompt))
    return text if window < PROMPT_CHARS_MIN else _masked(text, text.lower(), prompt, window, "[prompt]")


def _as_code(text: str) -> str:
    """As an error's code is kept, whatever it was made of."""
    return text.lower().replace("-", "_")


def _masked(text: str, plain: str, quoted: str, window: int, mark: str) -> str:
    """`plain` is the text as it is compared with what it may quote. Runs of at least `window` characters become the mark."""
    if len(plain) != len(text):
        return text
    kept: list[str] = []
    at = 0
    while at < len(text):
        end = at + window
        if plain[at:end] not in quoted or end > len(text):
            kept.append(text[at])
            at += 1
            continue
        while end < len(text) and plain[at : end + 1] in quoted:
            end += 1
        kept.append(mark)
        at = end
    return "".join(kept)
