"""What a caller says about upstreams: only a key that may choose says anything."""

from dataclasses import dataclass

PREFER_HEADER = "X-Upstream-Prefer"
ONLY_HEADER = "X-Upstream-Only"


@dataclass(frozen=True, slots=True)
class UpstreamChoice:
    """Names of upstreams. Neither makes an offer able, healthy or affordable that is not."""

    prefer: tuple[str, ...] = ()
    """Their offers are tried first, in this order; the others after them."""
    only: tuple[str, ...] = ()
    """Other upstreams' offers are not tried; empty: any may be."""

    def rank(self, upstream: str) -> int:
        """The smaller the sooner."""
        return self.prefer.index(upstream) if upstream in self.prefer else len(self.prefer)

    def allows(self, upstream: str) -> bool:
        return not self.only or upstream in self.only


ANY_UPSTREAM = UpstreamChoice()
