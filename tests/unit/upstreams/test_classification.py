"""Every recorded answer means one thing to the router: whose fault, whether it cost money, how long to wait, and what comes next."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import orjson
import pytest

from gateway.domain.catalog import OnUnknown, Recovery
from gateway.domain.tasks import Billed, Fault
from gateway.routing.retry import Step, next_step
from gateway.upstreams import faults
from gateway.upstreams.base import UpstreamFailure
from gateway.upstreams.faults import ApiError, failure, read_error, row_for, with_headers
from tests.unit.upstreams import recorded_answers as recorded
from tests.unit.upstreams.recorded_answers import Answer


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer must mean. `lost` and `keyed`: the next step where a lost answer cannot, and can, be found again by a key."""

    fault: Fault
    billed: Billed
    lost: Step
    keyed: Step


UNPAID = (Billed.NO, Step.NEXT, Step.NEXT)
TABLE: Sequence[tuple[Verdict, Sequence[Answer]]] = [
    (Verdict(Fault.REFUSED, Billed.NO, Step.STOP, Step.STOP), recorded.REFUSED),
    (Verdict(Fault.REFUSED, Billed.UNKNOWN, Step.STOP, Step.STOP), recorded.REFUSED_IN_DOUBT),
    (Verdict(Fault.BAD_REQUEST, Billed.UNKNOWN, Step.STOP, Step.SAME), recorded.REJECTED_IN_DOUBT),
    (Verdict(Fault.NO_MONEY, *UNPAID), recorded.NO_MONEY),
    (Verdict(Fault.RATE_LIMITED, *UNPAID), recorded.RATE_LIMITED),
    (Verdict(Fault.OVERLOADED, *UNPAID), recorded.OVERLOADED),
    (Verdict(Fault.CREDENTIALS, *UNPAID), recorded.CREDENTIALS),
    (Verdict(Fault.BAD_REQUEST, *UNPAID), [*recorded.BAD_REQUEST, *recorded.NEAR_MISSES]),
    (Verdict(Fault.FAILED, *UNPAID), recorded.FAILED),
    (Verdict(Fault.NO_ANSWER, Billed.UNKNOWN, Step.STOP, Step.SAME), recorded.OPEN),
]
CASES = [(verdict, answer) for verdict, answers in TABLE for answer in answers]
VENDORS = frozenset(
    (
        *("openai", "azure", "evolink", "apimart", "kie", "gemini", "fal", "replicate", "stability", "bfl", "together"),
        *("fireworks", "deepinfra", "recraft", "ideogram", "xai", "ark", "dashscope", "zhipu", "minimax", "openrouter"),
        *("runware", "a1111", "comfyui", "localai", "vllm", "sglang", "ollama", "litellm", "new-api", "one-api"),
        "servers",
    )
)


def read(answer: Answer) -> ApiError:
    body = answer.body.encode() if isinstance(answer.body, str) else orjson.dumps(answer.body)
    return read_error(answer.status, body)


def failed(answer: Answer) -> UpstreamFailure:
    return failure(read(answer), answer.headers, answer.rows)


def step(fault: Fault, billed: Billed, recovery: Recovery) -> Step:
    return next_step(fault, billed, recovery=recovery, on_unknown=OnUnknown.STOP, resends=0)


@pytest.mark.parametrize(
    ("verdict", "answer"), CASES, ids=[f"{verdict.fault}: {answer.id}" for verdict, answer in CASES]
)
def test_recorded_answers(verdict: Verdict, answer: Answer) -> None:
    """One answer, one verdict, one next step."""
    found = failed(answer)
    assert (found.fault, found.billed, found.retry_after_s) == (verdict.fault, verdict.billed, answer.wait_s)
    assert step(found.fault, found.billed, Recovery.NONE) is verdict.lost
    assert step(found.fault, found.billed, Recovery.IDEMPOTENCY_KEY) is verdict.keyed


@pytest.mark.parametrize(
    ("fault", "billed", "lost", "keyed"),
    [
        (
            Fault.NO_ANSWER,
            Billed.UNKNOWN,
            Step.STOP,
            Step.SAME,
        ),  # reset or time-out after sending; a job at its deadline
        (Fault.UNREACHABLE, Billed.NO, Step.NEXT, Step.NEXT),
        (Fault.LOCAL, Billed.NO, Step.NEXT, Step.NEXT),
        (Fault.RESULT_LOST, Billed.YES, Step.NEXT, Step.SAME),  # the link is dead
        (Fault.NO_IMAGE, Billed.NO, Step.NEXT, Step.NEXT),
        (Fault.NO_IMAGE, Billed.YES, Step.NEXT, Step.NEXT),  # our loss: the caller still gets a picture
        (Fault.REFUSED, Billed.YES, Step.STOP, Step.STOP),  # withheld, but billed
        (Fault.FAILED, Billed.YES, Step.STOP, Step.STOP),
    ],
)
def test_what_no_answer_says(fault: Fault, billed: Billed, lost: Step, keyed: Step) -> None:
    """Verdicts that come from the connection or from inside an answer lead on as well."""
    assert (step(fault, billed, Recovery.NONE), step(fault, billed, Recovery.IDEMPOTENCY_KEY)) == (lost, keyed)


def test_the_record_is_complete() -> None:
    """No answer stands twice, every vendor has some, and there are enough of them."""
    names = [f"{verdict.fault}: {answer.id}" for verdict, answer in CASES]
    assert len(names) == len(set(names))
    assert len(names) >= 230
    assert {answer.id.split()[0] for _, answer in CASES} == VENDORS
    answers = [(answer.status, repr(answer.body), tuple(answer.headers.items())) for _, answer in CASES]
    assert len(answers) == len(set(answers))


def test_every_row_is_reached() -> None:
    """A row that no recorded answer reaches is dead, or shadowed by one above it."""
    reached = [row_for(with_headers(read(answer), answer.headers), answer.rows) for _, answer in CASES]
    dead = [row for row in faults.ROWS if not any(row is one for one in reached)]
    assert dead == []


@pytest.mark.parametrize("index", range(len(faults.ROWS)))
def test_every_row_is_needed(index: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, the rows below it say something else of some answer."""
    rows = faults.ROWS
    monkeypatch.setattr(faults, "ROWS", rows[:index] + rows[index + 1 :])
    assert any((failed(answer).fault, failed(answer).billed) != (is_.fault, is_.billed) for is_, answer in CASES)


def test_every_word_of_a_row_is_read() -> None:
    """Words come in lower case with underscores; a row that asks for anything else could never match."""
    assert [
        row.words
        for row in faults.ROWS
        if row.words is not None and re.search(r"[A-Z -]", row.words.replace(r"\W", ""))
    ] == []


@pytest.mark.parametrize(
    ("answer", "param"),
    [
        (Answer("openai", 400, recorded.error("m", param="n")), "n"),
        (Answer("litellm", 400, recorded.error("m", param="None")), None),
        (Answer("fal", 422, {"detail": [recorded.detail("missing", param="image_url")]}), "image_url"),
        (Answer("fal bare", 422, [recorded.detail("missing", param="image_url")]), "image_url"),
        (Answer("gemini", 400, recorded.google(400, "INVALID_ARGUMENT", "m", {"fieldViolations": [{"field": "contents"}]})), "contents"),
        (Answer("replicate", 422, recorded.problem(422, "m", invalid_fields=[{"field": "input.n"}])), "input.n"),
        (Answer("runware", 400, {"errors": [{"code": "c", "message": "m", "parameter": "width"}]}), "width"),
    ],
    ids=lambda value: value.id if isinstance(value, Answer) else "",
)  # fmt: skip
def test_the_field_is_found(answer: Answer, param: str | None) -> None:
    """Whichever envelope names it."""
    assert read(answer).param == param


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": "OutOfMemoryError", "detail": "", "errors": "CUDA"}, "OutOfMemoryError: CUDA"),
        ({"error": "text"}, "text"),
        ({"detail": {"error": "text"}}, "text"),
        ({"detail": {"message": "text"}}, "text"),
        ({"id": "1", "name": "n", "errors": ["first", "second"]}, "first"),
        ([{"msg": "text", "loc": []}], "text"),
        ([{"error": {"message": "text"}}], "text"),
        ({"base_resp": {"status_code": 1, "status_msg": "text"}}, "text"),
        ({"error": {"message": "", "details": [{"message": "text"}]}}, "text"),
        ({"prompt": "text", "input": {"message": "text"}}, ""),
        ([], "answered with JSON that is no error object"),
        (5, "answered with JSON that is no error object"),
    ],
)
def test_the_words_of_the_vendor_are_found(body: object, message: str) -> None:
    """And nothing that might be the caller's."""
    assert read(Answer("x", 400, body)).message == message


@pytest.mark.parametrize("value", [None, True, [], {}, "soon", "-1", "1e9", "5 apples", "nan"])
def test_odd_waits_in_bodies_count_as_none(value: object) -> None:
    """A field of that name with something else in it is no wish."""
    assert read(Answer("x", 429, {"error": {"message": "m", "retry_after": value}})).retry_after_s is None


def test_the_code_inside_a_success_counts_as_its_status() -> None:
    """But never makes a certain failure doubtful, and never overrides a real status."""
    assert read(Answer("x", 200, {"code": 402, "msg": "m"})).status == 402
    assert read(Answer("x", 0, {"error": {"code": "422"}})).status == 422
    assert read(Answer("x", 0, {"error": {"code": 504}})).status == 0
    assert read(Answer("x", 200, {"code": 1026, "msg": "m"})).status == 200
    assert read(Answer("x", 400, {"code": 402, "msg": "m"})).status == 400
