"""How long a refused connection costs a caller, as the next upstream sees it. `SOAK=1` on a quiet machine holds the strict figure, too."""

import os
import time
from pathlib import Path

from tests.integration.conftest import Market
from tests.integration.gateway_app import serving, write_config
from tests.proofs import Proof

SOAK = os.environ.get("SOAK") == "1"
ROUNDS, CALLS = (8, 100) if SOAK else (3, 100)
P99_S = 0.05


async def test_a_refused_connection_costs_milliseconds(
    sqlite_database: str, tmp_path: Path, market: Market, proof: Proof
) -> None:
    """From before the call until the next upstream has it, so acceptance and both attempts' rows are counted in. The 99th percentile of 100 calls
    one after the other, in the best of some rounds. Where others take the processor away that is said of processor time, which no one can take,
    and of the median on the wall's clock, which shows whether anything is waited for; with SOAK of the wall's clock alone."""
    config = write_config(tmp_path, sqlite_database, market.upstreams(), models=market.models())
    rounds: list[list[float]] = []
    busy: list[list[float]] = []
    async with serving(config, market.emulators) as house:
        for _ in range(ROUNDS):
            took_s: list[float] = []
            busy_s: list[float] = []
            while len(took_s) < CALLS:
                for _ in range(2):  # two that work for one that fails: no circuit opens
                    assert (await house.generate("poster")).headers["X-Upstream"] == "cheap"
                await market["cheap"].refuse_connections()
                begun_s, busy_before_s = time.monotonic(), time.process_time()
                answer = await house.generate("poster")
                busy_s.append(time.process_time() - busy_before_s)
                assert (answer.status, answer.headers["X-Upstream"]) == (200, "middle")
                took_s.append(market["middle"].requests[-1].came_s - begun_s)
                await market["cheap"].accept_connections()
            rounds.append(sorted(took_s))
            busy.append(sorted(busy_s))
            if _p99(rounds[-1]) < P99_S:
                break
    found = min(rounds, key=_p99)
    proof(
        "fail-over",
        f"after a refused connection: p99 {_p99(found) * 1000:.1f} ms, p50 {found[CALLS // 2] * 1000:.1f} ms of {CALLS} calls",
    )
    told = f"in {ROUNDS} rounds of {CALLS} calls: {[round(_p99(took), 4) for took in rounds]} s"
    assert min(took[CALLS // 2] for took in rounds) < P99_S, told
    assert min(map(_p99, busy)) < P99_S, (
        f"of the processor, the whole call: {[round(_p99(each), 4) for each in busy]} s; {told}"
    )
    if SOAK:
        assert _p99(found) < P99_S, told


def _p99(took_s: list[float]) -> float:
    """Of times in ascending order."""
    return took_s[round(0.99 * CALLS) - 1]
