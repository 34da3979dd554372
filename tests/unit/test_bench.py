"""The benchmark's judgement: what holds a promised figure, and what is refused as a measurement."""

import resource

import pytest

from bench import waiting, wrk
from bench.load import Measurement
from bench.processes import BenchFailed
from bench.results import BARE, Comparison, Findings, HeldCalls, Machine, Pairs, Run, StartUp
from bench.verdicts import verdicts

GATEWAY = "gateway, SQLite"
PRINTED = (
    b"Running 3s test @ http://127.0.0.1:1/\n  Latency Distribution\n     50%%    1.00ms\n\n"
    b'{"duration_us":3000000,"requests":%d,"p50_us":1000,"p99_us":2000,'
    b'"connect":0,"read":0,"write":0,"status":%d,"timeout":0}\n'
)


def run(per_second: float = 1.0, p50_ms: float = 1.0, block_ms: float = 0.0) -> Run:
    return Run(Measurement(per_second, p50_ms, 0.0, 1), 0.0, block_ms)


def findings(
    *,
    ratio: float = 0.6,
    hit_ratio: float = 0.45,
    added_ms: float = 3.7,
    block_ms: float = 50,
    peak_mb: float = 400,
    held_mb: float = 350,
    answered: int = 4000,
    ready_s: float = 1.5,
    idle_mb: float = 110,
    per_s: float = 3000,
) -> Findings:
    """Every figure just within its promise, with a disk that needs 0.4 ms for an fsync; three rounds of which two are off."""
    small, large = Comparison(), Comparison()
    for off in (1.0, 1.25, 0.1):
        for connections in (1, 32):
            small.add(connections, BARE, run(per_second=100, p50_ms=1))
            small.add(connections, GATEWAY, run(per_second=100 * ratio * off, p50_ms=1 + added_ms / off))
        large.add(16, BARE, run())
        large.add(16, GATEWAY, run(block_ms=block_ms / off))
    hits = Comparison()
    for off in (1.0, 1.25, 0.1):
        hits.add(32, BARE, run(per_second=100))
        hits.add(32, GATEWAY, run(per_second=100 * hit_ratio * off))
    large.idle_mb, large.peaks_mb = {GATEWAY: 100.0}, {GATEWAY: peak_mb}
    return Findings(
        machine=Machine("", "", "", "", 2, "", "", 0.0, 0.0),
        fsyncs_p50_ms=[0.4, 0.4, 9.0],
        small=small,
        large=large,
        hits=hits,
        held=[HeldCalls(GATEWAY, 4000, 4000, answered, "", 100, held_mb, 0)],
        not_held="",
        starts=[StartUp("SQLite", ready_s, 1.0, idle_mb)],
        pairs=[Pairs("SQLite", 32, [1, 2, 3], [0]), Pairs("SQLite", 256, [1, per_s, 9999], [0])],
    )


def test_a_figure_on_its_limit_holds() -> None:
    """Every promised figure is judged, by the median of its rounds, and the limit itself is within."""
    judged = verdicts(findings())
    assert len(judged) == 12
    assert [verdict for verdict in judged if not verdict.holds] == []


@pytest.mark.parametrize(
    ("beyond", "figure"),
    [
        ({"ratio": 0.59}, "answers/s against bare, 32 connections"),
        ({"hit_ratio": 0.44}, "cached hits/s against a bare answer, 32 connections"),
        ({"added_ms": 3.71}, "added p50, 1 connection"),
        ({"block_ms": 50.1}, "longest block, 2 MB answers"),
        ({"peak_mb": 401}, "peak RSS above idle, 2 MB answers"),
        ({"held_mb": 351}, "memory of a held call, 4,000 of them"),
        ({"answered": 3999}, "held calls answered"),
        ({"ready_s": 1.51}, "ready after start"),
        ({"idle_mb": 111}, "idle RSS"),
        ({"per_s": 2999}, "accept + finish pairs/s"),
    ],
)
def test_a_figure_just_beyond_its_limit_misses(beyond: dict[str, float], figure: str) -> None:
    """Each limit is judged on its own, so that no miss hides behind another."""
    found = findings(**beyond)  # type: ignore[arg-type]  # one of the parameters is an int, as every value for it is
    assert [verdict.figure for verdict in verdicts(found) if not verdict.holds] == [figure]


def test_one_failed_answer_spoils_a_measurement_by_wrk() -> None:
    """Answers that are no success are fast; counted, they would make a broken target look good."""
    assert wrk.parse(PRINTED % (300, 0)).requests == 300
    with pytest.raises(BenchFailed, match="status"):
        wrk.parse(PRINTED % (300, 1))


def test_too_few_open_files_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the hard limit is too low for the held calls the report says so; where only the soft one is, it is raised."""
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 8299))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: raised.append(limits))
    assert "is 8299; 4,000 calls need 8300" in waiting.too_few_files(4000)
    assert waiting.too_few_files(3999) == ""
    assert raised == [(8298, 8299)]
