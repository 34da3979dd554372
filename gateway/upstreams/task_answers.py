"""What the answers of a described task API say: id, state, pictures, error and cost, found by paths. Pure; safe in a thread.

An odd field counts as absent. ValueError where the body is no JSON object.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

import orjson

from gateway.domain.tasks import Billed, Fault
from gateway.upstreams import faults
from gateway.upstreams.answers import Item, decode_object
from gateway.upstreams.base import UpstreamFailure, UpstreamImage
from gateway.upstreams.faults import ApiError, Row
from gateway.upstreams.polling import is_askable
from gateway.upstreams.task_description import Answer, State, TaskApi
from gateway.upstreams.wire import Reply

IMAGES_MAX = 100
COST_USD_MAX = 10_000
_TASK_STATUSES = frozenset({400, 402, 422, 429, 451, 455, 503, 529})
"""Codes of failed tasks that mean what they mean as HTTP status. Others say nothing of the call: a task's 404 is no wrong address."""


@dataclass(frozen=True, slots=True)
class TaskAnswer:
    """What one answer says of a task."""

    task_id: str | None
    state: State | None
    """None: it says nothing of it, or a word that is not described."""
    images: tuple[UpstreamImage, ...]
    code: str | None
    message: str
    cost_usd: Decimal | None

    @property
    def is_over(self) -> bool:
        return self.state in ("done", "failed")


def read_submit(api: TaskApi, rows: tuple[Row, ...], reply: Reply) -> TaskAnswer:
    """A task with a usable id, or one that is over already. Raises UpstreamFailure for an error inside the 2xx answer.

    An id counts before an error beside it: what was accepted is asked for rather than paid for again.
    """
    document = decode_object(reply.body)
    answer = _read(api, document)
    if answer.task_id is not None and (is_askable(answer.task_id) or answer.is_over):
        return answer
    if answer.task_id is None:
        _raise_error(api, rows, document, answer, reply.headers)
    raise UpstreamFailure(Fault.NO_ANSWER, Billed.UNKNOWN, "accepted without a usable task id")


def read_poll(api: TaskApi, rows: tuple[Row, ...], reply: Reply) -> TaskAnswer:
    """The task now. Raises UpstreamFailure where the question failed; how a task ended counts, whatever stands beside it."""
    document = decode_object(reply.body)
    answer = _read(api, document)
    if not answer.is_over:
        _raise_error(api, rows, document, answer, reply.headers)
    return answer


def read_check(api: TaskApi, rows: tuple[Row, ...], reply: Reply) -> None:
    """Raises UpstreamFailure where the body's code says that it failed."""
    document = decode_object(reply.body)
    _raise_error(api, rows, document, _read(api, document), reply.headers)


def read_http_error(api: TaskApi, status: int, body: bytearray) -> ApiError:
    """Like faults.read_error, with code and message from the described places as well."""
    error = faults.read_error(status, body)
    try:
        document = decode_object(body)
    except ValueError:
        return error
    code = _text(document, (*(api.body_code.at if api.body_code else ()), *api.answer.error_code))
    message = _text(document, api.answer.error_message)
    words = error.words if code is None else (*error.words, code.lower()[:100])
    # A message alone may be that of something in front of the API.
    from_api = error.from_api or code is not None
    return replace(error, words=words, message=(message or error.message)[:2000], from_api=from_api)


def failed(api: TaskApi, rows: tuple[Row, ...], answer: TaskAnswer) -> UpstreamFailure:
    """What a failed task means. A named cost decides whether it was billed; else its row, and what the vendor says of failures."""
    fault, billed = faults.classify(_error(answer.code, answer.message, _TASK_STATUSES), rows)
    if billed is Billed.NO:
        billed = unbilled(api, answer)
    elif answer.cost_usd is not None:
        billed = Billed.YES if answer.cost_usd else Billed.NO
    cost_usd = answer.cost_usd or None
    return UpstreamFailure(fault, billed, f"task failed: {answer.code or ''}: {answer.message}", cost_usd=cost_usd)


def unbilled(api: TaskApi, answer: TaskAnswer) -> Billed:
    """Whether a task without a picture cost nothing: by the cost it names, else by the vendor's word."""
    if answer.cost_usd is not None:
        return Billed.YES if answer.cost_usd else Billed.NO
    return Billed.NO if api.failures_are_free else Billed.UNKNOWN


def find(document: object, path: str) -> Iterator[object]:
    """All values at a path such as `data.images.*.url`; a number is an item of a list; a text on the way is read as JSON."""
    yield from _below(document, path.split("."))


def _below(value: object, steps: list[str]) -> Iterator[object]:
    if not steps:
        if value is not None:
            yield value
        return
    step, rest = steps[0], steps[1:]
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return
    match value:
        case dict() if step == "*":
            inner = list(value.values())
        case dict():
            inner = [value[step]] if step in value else []
        case list() if step == "*":
            inner = value
        case list() if step.isdecimal() and int(step) < len(value):
            inner = [value[int(step)]]
        case _:
            inner = []
    for item in inner[:IMAGES_MAX]:
        yield from _below(item, rest)


def _read(api: TaskApi, document: Mapping[str, object]) -> TaskAnswer:
    answer = api.answer
    status = _text(document, answer.status)
    return TaskAnswer(
        task_id=_text(document, api.submit.task_id),
        state=None if status is None else answer.statuses.get(status.lower()),
        images=_images(document, answer.results),
        code=_text(document, answer.error_code),
        message=_text(document, answer.error_message) or "",
        cost_usd=_cost_usd(document, answer),
    )


def _raise_error(
    api: TaskApi, rows: tuple[Row, ...], document: Mapping[str, object], answer: TaskAnswer, headers: Mapping[str, str]
) -> None:
    """By the body's code; without one, an answer that says nothing of a task but has an error."""
    code = _text(document, api.body_code.at) if api.body_code is not None else None
    if code is not None and api.body_code is not None:
        if code.lower() in api.body_code.good:
            return
    elif answer.state is not None or not (answer.code or answer.message):
        return
    plain = faults.read_error_object(0, document)
    error = _error(code or answer.code, answer.message or plain.message, range(100, 600))
    raise faults.failure(replace(error, param=plain.param, retry_after_s=plain.retry_after_s), headers, rows)


def _error(code: str | None, message: str, statuses: "frozenset[int] | range") -> ApiError:
    number = int(code) if code is not None and code.isdecimal() and len(code) == 3 else 0
    words = () if code is None else (code.lower()[:100],)
    return ApiError(number if number in statuses else 0, words, message[:2000], from_api=True)


def _text(document: Mapping[str, object], paths: tuple[str, ...]) -> str | None:
    """The first text, number or boolean, as text."""
    for path in paths:
        for value in find(document, path):
            if isinstance(value, bool):
                return "true" if value else "false"
            if isinstance(value, str | int) and value != "":
                return str(value)
    return None


def _images(document: Mapping[str, object], paths: tuple[str, ...]) -> tuple[UpstreamImage, ...]:
    """Of the first path that has any. A value is one link, or a list of them; a link may be a data URL."""
    for path in paths:
        values = [item for value in find(document, path) for item in (value if isinstance(value, list) else [value])]
        texts = [text for text in values if isinstance(text, str) and text][:IMAGES_MAX]
        images = [image for text in texts if (image := Item(url=text).image()) is not None]
        if images:
            return tuple(images)
    return ()


def _cost_usd(document: Mapping[str, object], answer: Answer) -> Decimal | None:
    if answer.cost is None:
        return None
    for path in answer.cost.at:
        for value in find(document, path):
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                continue
            try:
                usd = Decimal(str(value)) * answer.cost.usd_per_unit
            except ArithmeticError:  # no number, or with an exponent beyond all bounds
                continue
            if usd.is_finite() and 0 <= usd <= COST_USD_MAX:
                return usd
    return None
