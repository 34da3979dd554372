"""The table "One URL, two contracts", row by row."""

import pytest
from multidict import CIMultiDict

from gateway.api.contract import WAIT_S_MAX, BodyHints, Choice, choose
from gateway.domain.errors import UnsupportedParameter
from gateway.domain.images import Contract

IMAGE, TASK = Contract.IMAGE, Contract.TASK
SDK = {"x-stainless-lang": "python"}


@pytest.mark.parametrize(
    ("headers", "body", "key", "model", "expected"),
    [
        pytest.param({"Prefer": "respond-async"}, {}, IMAGE, IMAGE, Choice(TASK, None, "respond-async"), id="1-async"),
        pytest.param({"prefer": "wait=5"} | SDK, {}, TASK, TASK, Choice(IMAGE, 5, "wait=5"), id="1-wait"),
        pytest.param({"Prefer": "wait=0"}, {}, None, IMAGE, Choice(IMAGE, 0, "wait=0"), id="1-wait-0"),
        pytest.param(
            {"Prefer": "wait=99999999999"},
            {},
            None,
            IMAGE,
            Choice(IMAGE, WAIT_S_MAX, f"wait={WAIT_S_MAX}"),
            id="1-bounded",
        ),
        pytest.param(
            {"Prefer": "respond-async, wait=10"},
            {},
            None,
            IMAGE,
            Choice(IMAGE, 10, "respond-async, wait=10"),
            id="1-both",
        ),
        pytest.param({"Prefer": 'Wait="7"; x=y, foo'}, {}, None, TASK, Choice(IMAGE, 7, "wait=7"), id="1-spelling"),
        pytest.param({"Prefer": "wait=-1"}, {}, None, TASK, Choice(TASK), id="1-malformed-is-ignored"),
        pytest.param({"Prefer": "wait=²"}, {}, None, TASK, Choice(TASK), id="1-no-ascii-digit"),
        pytest.param({"Prefer": "return=minimal"}, {}, None, IMAGE, Choice(IMAGE), id="1-other-preference"),
        pytest.param({}, {"callback": True}, IMAGE, IMAGE, Choice(TASK), id="2-callback-beats-key"),
        pytest.param(
            SDK, {"callback": True, "response_format": True}, None, IMAGE, Choice(TASK), id="2-callback-beats-sdk"
        ),
        pytest.param(SDK, {}, TASK, IMAGE, Choice(TASK), id="3-key-beats-sdk"),
        pytest.param({}, {}, IMAGE, TASK, Choice(IMAGE), id="3-key-beats-model"),
        pytest.param(SDK, {}, None, TASK, Choice(IMAGE), id="4-sdk"),
        pytest.param({}, {"response_format": True}, None, TASK, Choice(IMAGE), id="4-response-format"),
        pytest.param({}, {"stream": True}, None, TASK, Choice(IMAGE), id="4-stream"),
        pytest.param({}, {}, None, TASK, Choice(TASK), id="5-model-task"),
        pytest.param({}, {}, None, IMAGE, Choice(IMAGE), id="5-model-image"),
    ],
)
def test_the_first_rule_that_applies_decides(
    headers: dict[str, str], body: dict[str, bool], key: Contract | None, model: Contract, expected: Choice
) -> None:
    """Each row of the table gives its contract, also against the rows below it."""
    assert choose(CIMultiDict(headers), BodyHints(**body), key=key, model=model) == expected


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Prefer": "respond-async"}, BodyHints(stream=True)),
        ({"Prefer": "wait=1"}, BodyHints(stream=True)),
        ({}, BodyHints(True, True)),
    ],
)
def test_stream_with_a_task_is_refused(headers: dict[str, str], body: BodyHints) -> None:
    """A stream together with rule 1 or 2 is an error that names stream."""
    with pytest.raises(UnsupportedParameter) as caught:
        choose(CIMultiDict(headers), body, key=None, model=IMAGE)
    assert caught.value.param == "stream"


def test_202_only_for_those_who_asked() -> None:
    """SDKs take 202 for a final answer, so only `Prefer` brings it."""
    assert Choice(TASK, None, "respond-async").task_status == 202
    assert Choice(TASK).task_status == 200
