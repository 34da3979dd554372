"""Takes a caller's prompt and an upstream's key out of the upstream's own words, before these are stored or logged. Pure.

Upstreams quote what they were sent, whole, cut or escaped, and their words outlive the prompt's retention. Fails on the safe side: words that
happen to stand in the prompt as well are taken for a quotation.
"""

ECHO_CHARS_MIN = 12
"""The shortest run that counts as a quotation; a prompt of fewer characters counts whole."""
PROMPT_CHARS_MIN = 4
"""Shorter prompts tell nothing, and would be found everywhere."""
TEXT_CHARS_MAX = 500
"""What is kept of an upstream's words. Each character may cost a search through the prompt: 1 ms together, at the worst 25 ms."""


def without_echo(text: str, *, prompt: str, secret: str) -> str:
    """The text, cut to TEXT_CHARS_MAX, with every run that it shares with the prompt as `[prompt]` and the secret as `[key]`."""
    if secret:
        text = text.replace(secret, "[key]")
    text, lowered = text[:TEXT_CHARS_MAX], text[:TEXT_CHARS_MAX].lower()
    prompt = prompt.strip().lower()
    window = min(ECHO_CHARS_MIN, len(prompt))
    if window < PROMPT_CHARS_MIN or len(lowered) != len(text):
        return text
    kept: list[str] = []
    at = 0
    while at < len(text):
        end = at + window
        if lowered[at:end] not in prompt or end > len(text):
            kept.append(text[at])
            at += 1
            continue
        while end < len(text) and lowered[at : end + 1] in prompt:
            end += 1
        kept.append("[prompt]")
        at = end
    return "".join(kept)
