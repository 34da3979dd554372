"""The envelope and headers of every error, and what the image contract makes of failed tasks."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from aiohttp import web

from gateway.api.errors import error_of_http, error_of_task, reason_phrase, render_error
from gateway.domain import errors
from gateway.domain.errors import GatewayError, InsufficientQuota, RateLimited
from gateway.domain.images import Contract
from gateway.domain.tasks import TaskErrorCode
from tests.unit.api.fake_pipeline import failed_view


def _classes(root: type[GatewayError] = GatewayError) -> Iterator[type[GatewayError]]:
    yield root
    for child in root.__subclasses__():
        yield from _classes(child)


EVERY_CLASS: list[type[GatewayError]] = sorted(set(_classes()), key=lambda kind: kind.__name__)


def _body(response: web.Response) -> dict[str, object]:
    assert isinstance(response.body, bytes)
    error = orjson.loads(response.body)["error"]
    assert isinstance(error, dict)
    return error


@pytest.mark.parametrize("kind", EVERY_CLASS)
@pytest.mark.parametrize("contract", [None, *Contract])
def test_every_error_has_the_whole_envelope(kind: type[GatewayError], contract: Contract | None) -> None:
    """All five fields, the request id in body and header, x-should-retry as the class says, and a reason phrase with the message."""
    response = render_error(kind("Something is wrong.", param="n"), "req_1", contract)
    error = _body(response)
    assert {"code", "message", "type", "param", "request_id"} == set(error)
    assert error["code"] == kind.code
    assert error["request_id"] == response.headers["X-Request-Id"] == "req_1"
    assert "Something is wrong." in response.reason
    retry = response.headers.get("x-should-retry")
    assert retry == (None if kind.should_retry is None else str(kind.should_retry).lower())
    if response.status >= 500 or response.status == 429:
        assert error["type"] != "invalid_request_error"


def test_quota_is_402_for_tasks_and_openais_429_for_images() -> None:
    """The same refusal, once with the task contract's fields and once as OpenAI's SDKs know it; neither is to be retried."""
    error = InsufficientQuota(
        "No credits left.", details={"estimated_credits": 2.5, "remaining_credits": 1, "limit_scope": "team"}
    )
    task, image = render_error(error, "r", Contract.TASK), render_error(error, "r", Contract.IMAGE)
    assert (task.status, _body(task)["type"]) == (402, "insufficient_quota_error")
    assert (image.status, _body(image)["type"], _body(image)["code"]) == (
        429,
        "insufficient_quota",
        "insufficient_quota",
    )
    assert _body(task)["limit_scope"] == "team"
    assert _body(task)["estimated_credits"] == 2.5
    assert task.headers["x-should-retry"] == image.headers["x-should-retry"] == "false"


def test_retry_after_is_sent_in_whole_seconds_below_a_minute() -> None:
    """SDKs ignore more than 60 s."""
    assert render_error(RateLimited("Slow down.", retry_after_s=500), "r").headers["Retry-After"] == "59"


def test_details_never_replace_the_envelope() -> None:
    """A detail by the name of a field of the envelope loses."""
    error = _body(render_error(RateLimited("Slow down.", details={"code": "x", "message": "y"}), "r"))
    assert (error["code"], error["message"]) == ("rate_limit_exceeded", "Slow down.")


@pytest.mark.parametrize(
    ("code", "status", "answer_code", "retry"),
    [
        (TaskErrorCode.CONTENT_POLICY_VIOLATION, 400, "content_policy_violation", "false"),
        (TaskErrorCode.INVALID_PARAMETERS, 400, "invalid_parameter", None),
        (TaskErrorCode.IMAGE_PROCESSING_ERROR, 400, "invalid_parameter", None),
        (TaskErrorCode.IMAGE_DIMENSION_MISMATCH, 400, "invalid_parameter", None),
        (TaskErrorCode.REQUEST_CANCELLED, 409, "request_cancelled", "false"),
        (TaskErrorCode.GENERATION_FAILED_NO_CONTENT, 502, "upstream_failed", None),
        (TaskErrorCode.SERVICE_ERROR, 502, "upstream_failed", None),
        (TaskErrorCode.GENERATION_TIMEOUT, 504, "upstream_timeout", None),
        (TaskErrorCode.RESOURCE_EXHAUSTED, 503, "all_upstreams_unavailable", None),
        (TaskErrorCode.SERVICE_UNAVAILABLE, 503, "all_upstreams_unavailable", None),
        (TaskErrorCode.UNKNOWN_ERROR, 502, "upstream_failed", None),
        (TaskErrorCode.OUTCOME_UNKNOWN, 502, "outcome_unknown", "false"),
    ],
)
def test_failed_tasks_as_image_answers(code: TaskErrorCode, status: int, answer_code: str, retry: str | None) -> None:
    """Each task error has one status; busy upstreams say when to come back, an unknown outcome forbids a retry."""
    response = render_error(error_of_task(failed_view(code).task), "r", Contract.IMAGE)
    assert (response.status, _body(response)["code"]) == (status, answer_code)
    assert response.headers.get("x-should-retry") == retry
    assert ("Retry-After" in response.headers) == (status == 503)


def test_the_table_of_task_errors_is_complete() -> None:
    """No task error code is without an answer."""
    for code in TaskErrorCode:
        assert isinstance(error_of_task(failed_view(code).task), GatewayError)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/audio/speech",
        "/chat/completions",
    ],
)
def test_other_apis_are_told_what_is_served(path: str) -> None:
    """A chat client learns what this gateway is for."""
    error = error_of_http(web.HTTPNotFound(), "POST", path)
    assert error.status == 404
    assert "not served" in str(error)
    assert "/v1/images/generations" in str(error)


def test_reason_phrases_are_one_line_of_ascii() -> None:
    """No caller's text can end the status line or grow it."""
    phrase = reason_phrase(400, "size: é\r\nSet-Cookie: a=b " + "x" * 500)
    assert phrase.startswith("Bad Request: size: ")
    assert phrase.isascii()
    assert phrase.isprintable()
    assert len(phrase) < 200


def test_lone_surrogates_are_answered() -> None:
    """A message may quote what JSON can spell and UTF-8 cannot."""
    assert _body(render_error(errors.InvalidRequest("\ud800 twice", param="\ud800"), "r"))["message"] == "? twice"


@pytest.mark.parametrize(
    "secret", ["igw_" + "a1B2c3" * 6, "iga_" + "a1B2c3" * 6, "sk-proj-abcdefghijklmnop", "whsec_" + "A1b2" * 8]
)
def test_a_key_in_the_wrong_place_is_not_repeated(secret: str) -> None:
    """Who sends one as a model, or as the name of a field, reads what is wrong without it, in body and reason phrase."""
    answer = render_error(errors.InvalidRequest(f"{secret}: there is no model '{secret}'.", param=secret), "r")
    assert secret not in f"{answer.body!r} {answer.reason}"
    assert "[redacted]" in str(_body(answer)["message"])


@pytest.mark.parametrize("code", TaskErrorCode)
def test_the_page_says_what_the_image_contract_answers(code: TaskErrorCode) -> None:
    """Each code of a task's error has its row, with the status and the code of the other contract."""
    page = (Path(__file__).parents[3] / "docs/errors.md").read_text(encoding="utf-8")
    table = page.partition("## Errors of tasks")[2].splitlines()
    [row] = [line for line in table if line.startswith("| ") and f"`{code}`" in line.split("|")[1]]
    answered = error_of_task(failed_view(code).task)
    assert row.endswith(f"| {answered.status} `{answered.code}` |")
