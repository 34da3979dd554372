"""Identifiers cannot be guessed."""

from collections import Counter

from gateway.domain import ids


def test_every_letter_is_equally_likely() -> None:
    """Over 260,000 letters each of the 36 comes within 5 % of its share (about four standard deviations)."""
    counts = Counter("".join(ids.new_attempt_id()[4:] for _ in range(10_000)))
    assert len(counts) == 36
    share = 260_000 / 36
    assert all(abs(count - share) < 0.05 * share for count in counts.values())
