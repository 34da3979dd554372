"""Descriptions of task APIs: what may be written, and what the pure parts make of it."""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TypeGuard, get_args

import orjson
import pytest
from pydantic import BaseModel, ValidationError

from gateway.domain.images import ImageRequest, Pixels
from gateway.domain.sizes import ListedSizes, PixelBounds, Ratios, Step
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.apimart import APIMART
from gateway.upstreams.base import InlineImage, LinkedImage, UpstreamFailure
from gateway.upstreams.faults import ApiError, classify
from gateway.upstreams.kie import KIE
from gateway.upstreams.polling import is_askable
from gateway.upstreams.task_answers import TaskAnswer, failed, find, read_http_error, read_poll, read_submit
from gateway.upstreams.task_body import poll_path, submit_body, submit_path
from gateway.upstreams.task_description import ErrorRow, Poll, SizesDescribed, Submit, TaskApi
from gateway.upstreams.wire import Reply
from tests.unit.config_files import ROOT, problems, read
from tests.unit.upstreams.calls import an_offer

MINIMAL: Mapping[str, object] = {
    "submit": {"path": "/jobs", "body": {"prompt": "{prompt}"}, "task_id": "id"},
    "poll": {"path": "/jobs/{task_id}"},
    "answer": {"status": "status", "statuses": {"done": "done", "failed": "failed"}, "results": "urls"},
}


def described(**changes: object) -> TaskApi:
    """The least description, with sections replaced."""
    return TaskApi.model_validate({**MINIMAL, **changes})


def answer(document: object) -> Reply:
    return Reply(200, {}, bytearray(orjson.dumps(document)))


def test_the_guide_shows_a_whole_one_and_names_every_field(tmp_path: Path) -> None:
    """The example of the guide is a config as it stands, and no field is without its row."""
    page = (ROOT / "docs" / "adding-an-upstream.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```yaml\n(.*?)^```", page, re.M | re.S)
    environ = {"PIXELMILL_API_KEY": "k"}
    assert [read(tmp_path, example, environ).upstreams[0].kind for example in examples] == ["task_api"]
    rows = {
        name
        for line in page.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`([^`]+)`", line.split(" | ")[0])
    }
    assert set(fields(TaskApi)) - rows == set()


def fields(schema: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every field of a description by its full name; sections that have fields of their own stand for themselves."""
    for name, field in schema.model_fields.items():
        inner = next((item for item in (field.annotation, *get_args(field.annotation)) if is_section(item)), None)
        if inner is None:
            yield prefix + name
        else:
            yield from fields(inner, f"{prefix}{name}.")


def is_section(annotation: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def test_the_least_description() -> None:
    """Three sections are enough; what is not said is the careful choice."""
    api = described()
    assert (api.n, api.sizes, api.failures_are_free, api.params, api.rows()) == ((1,), None, False, frozenset(), ())
    assert (api.auth.header, api.auth.prefix) == ("Authorization", "Bearer ")


@pytest.mark.parametrize(
    ("template", "more", "why"),
    [
        ({"x": ["{image_urls}"]}, {}, "write references_max"),
        ({"x": "{image_url}"}, {}, "write references_max"),
        ({"x": "{mask_url}"}, {}, "{mask_url} without mask"),
        ({}, {"mask": "white"}, "mask without {mask_url}"),
    ],
)
def test_pictures_have_a_place(template: dict[str, object], more: dict[str, object], why: str) -> None:
    """What the template has and what is declared belong together."""
    plain = described().model_dump()
    body = {"prompt": "{prompt}", **template}
    with pytest.raises(ValidationError, match=re.escape(why)):
        TaskApi.model_validate(plain | {"submit": plain["submit"] | {"body": body}} | more)


@pytest.mark.parametrize(("template", "references"), [({}, 0), ({"x": "{image_url}"}, 1), ({"x": "{image_urls}"}, 4)])
def test_as_many_as_there_is_place_for(template: dict[str, object], references: int) -> None:
    """Declared references without a place in the template are none."""
    plain = described().model_dump()
    body = {"prompt": "{prompt}", **template}
    found = TaskApi.model_validate(plain | {"submit": plain["submit"] | {"body": body}, "references_max": 4})
    assert found.references == references


@pytest.mark.parametrize("api", [APIMART, KIE, described()])
def test_descriptions_survive_as_json(api: TaskApi) -> None:
    """The config hands a description on as text, and nothing is lost on the way."""
    assert TaskApi.model_validate_json(api.model_dump_json()) == api


@pytest.mark.parametrize(
    ("section", "change", "why"),
    [
        ("submit", {"path": "https://evil.test/jobs"}, "no path below"),
        ("submit", {"path": "//evil.test/jobs"}, "no path below"),
        ("submit", {"path": "jobs"}, "no path below"),
        ("submit", {"path": "/jobs/../admin"}, "no path below"),
        ("submit", {"path": "/jobs?x=1"}, "no path below"),
        ("submit", {"path": "/a@b/\n"}, "no path below"),
        ("submit", {"path": "/" + "a" * 300}, "at most 200"),
        ("submit", {"path": "/jobs/{task_id}"}, "unknown placeholder {task_id}"),
        ("submit", {"body": {"prompt": "{prompt}", "x": ["{seed}"]}}, "unknown placeholder {seed}"),
        ("submit", {"body": {"text": "fixed"}}, "sends no {prompt}"),
        ("submit", {"body": {"prompt": "{prompt}", "x": "a" * 9000}}, "more than 8192 bytes"),
        ("submit", {"method": "PUT"}, "Extra inputs"),
        ("submit", {"task_id": []}, "at least 1"),
        ("submit", {"task_id": "data..id"}, "no path of names"),
        ("submit", {"task_id": "$.id"}, "no path of names"),
        ("submit", {"task_id": ["x"] * 9}, "at most 8"),
        ("poll", {"path": "/jobs"}, "needs {task_id}"),
        ("poll", {"path": "/jobs/{task_id}/{prompt}"}, "needs {task_id}"),
        ("poll", {"interval": 0}, "greater than or equal"),
        ("poll", {"interval": "2h"}, "no duration"),
        ("answer", {"statuses": {"done": "done", "ok": "done"}}, "none that means failed"),
        ("answer", {"statuses": {"done": "done", "failed": "lost"}}, "'pending', 'done' or 'failed'"),
        ("answer", {"cost": {"at": "cost", "usd_per_unit": 0}}, "greater than 0"),
    ],
)
def test_what_is_refused(section: str, change: dict[str, object], why: str) -> None:
    """Hosts, steps upwards, unknown words and anything unbounded, each with its reason."""
    before = MINIMAL[section]
    assert isinstance(before, dict)
    with pytest.raises(ValidationError) as caught:
        described(**{section: before | change})
    assert why in str(caught.value)
    assert section in map(str, caught.value.errors()[0]["loc"])


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("cancel", "https://x.test/stop", "no path below"),
        ("cancel", "/stop/{model}", "needs {task_id}"),
        ("cancel", "/stop/{task_id}/{n}", "needs {task_id}"),
        ("check", "//x.test", "no path below"),
        ("headers", {"X-A": "a\r\nX-B: c"}, "should match pattern"),
        ("auth", {"header": "a b"}, "should match pattern"),
        ("errors", [{"fault": "refused"}], "neither codes nor texts"),
        ("errors", [{"codes": [1], "fault": "local"}], "Input should be"),
        ("sizes", {}, "one of listed, ratios and pixels"),
        ("sizes", {"listed": ["1x"]}, "is no size"),
        ("sizes", {"ratios": ["1:1"], "listed": ["1024x1024"]}, "one of listed"),
        ("sizes", {"listed": ["1024x1024"], "steps": {"1K": 1024}}, "steps without ratios"),
        ("n", [], "at least 1"),
        ("surprise", 1, "Extra inputs"),
    ],
)
def test_what_is_refused_beside_them(name: str, value: object, why: str) -> None:
    """The optional sections are bounded as well."""
    with pytest.raises(ValidationError) as caught:
        described(**{name: value})
    assert why in str(caught.value)


def test_a_wrong_description_is_told_with_key_and_fix(tmp_path: Path) -> None:
    """check-config names the key inside the description, and what may be written there."""
    found = problems(
        tmp_path,
        """
upstreams:
  mill:
    kind: task_api
    base_url: "https://api.example.com"
    api_key: k
    task_api:
      submit: {path: "https://elsewhere.test/", body: {prompt: "{prompt}"}, task_id: id, bdy: 1}
      poll: {path: "/jobs/{task_id}"}
      answer: {statuses: {done: done, failed: failed}, results: urls}
""",
    )
    place = "upstreams.mill.task_api"
    assert "no path below the base URL" in found[f"{place}.submit.path"].why
    assert "the host comes from base_url" in found[f"{place}.submit.path"].fix
    assert "Did you mean body?" in found[f"{place}.submit.bdy"].fix
    assert found[f"{place}.answer.status"].why == "is missing"


def test_what_a_description_needs_besides(tmp_path: Path) -> None:
    """An unknown vendor has no usual address; a description is no setting of another kind."""
    text = """
upstreams:
  bare: {kind: task_api, api_key: k}
  other: {kind: openai, api_key: k, task_api: {submit: {path: /a, body: {p: "{prompt}"}, task_id: id}, poll: {path: "/{task_id}"},
          answer: {status: s, statuses: {d: done, f: failed}, results: r}}}
"""
    found = problems(tmp_path, text)
    assert set(found) == {"upstreams.bare.base_url", "upstreams.bare.task_api", "upstreams.other.task_api"}


@pytest.mark.parametrize(
    ("written", "made"),
    [
        ({"listed": ["1:1", "1024x1536"]}, ListedSizes(("1:1", "1024x1536"))),
        ({"ratios": ["1:1"]}, Ratios(("1:1",))),
        ({"ratios": ["1:1"], "steps": {"2K": 2048}}, Ratios(("1:1",), (Step("2K", 2048),))),
        ({"pixels": {"multiple_of": 8, "edge_max": 2048}}, PixelBounds(multiple_of=8, edge_max=2048)),
    ],
)
def test_forms_of_sizes(written: object, made: object) -> None:
    """Three ways to say what is made of a size."""
    assert SizesDescribed.model_validate(written).made() == made


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a", [{"b": [1, None, {"c": "x"}]}]),
        ("a.b.0", [1]),
        ("a.b.1", []),
        ("a.b.7", []),
        ("a.b.*", [1, {"c": "x"}]),
        ("a.*.2.c", ["x"]),
        ("a.b.*.c", ["x"]),
        ("t.u", [[1, 2]]),
        ("t.u.1", [2]),
        ("bad.u", []),
        ("a.b.c", []),
        ("none", []),
        ("flag.x", []),
    ],
)
def test_paths(path: str, found: list[object]) -> None:
    """Names, numbers, every item, and a text on the way that is JSON itself; what is not there is nothing."""
    document = {"a": {"b": [1, None, {"c": "x"}]}, "t": '{"u": [1, 2]}', "bad": "{", "flag": True}
    assert list(find(document, path)) == found


def test_a_template_is_filled_once() -> None:
    """A prompt with braces stays as it is; a number stays a number; what has no value is left out, also from inside a text."""
    submit = Submit(
        path="/{model}/run",
        body={
            "p": "{prompt}",
            "n": "{n}",
            "px": "{width}x{height}",
            "fixed": [1, "{size}", {"s": "{step}"}],
            "model": "{model}",
        },
        task_id=("id",),
    )
    plain = ImageRequest("m", "{model} {{n}}")
    offer = an_offer("a/b c")
    assert submit_body(submit, None, plain, offer) == {"p": "{model} {{n}}", "n": 1, "fixed": [1, {}], "model": "a/b c"}
    sized = ImageRequest("m", "p", size="1:1", pixels=Pixels(1024, 1024))
    ratios = Ratios(("1:1",), (Step("1K", 1024),))
    body = submit_body(submit, ratios, sized, offer)
    assert (body["px"], body["fixed"]) == ("1024x1024", [1, "1:1", {"s": "1K"}])
    assert submit_path(submit, "a/../b c?") == "/a/b%20c%3F/run"


def test_addresses_of_a_task() -> None:
    """An id is quoted in path and query."""
    poll = Poll(path="/v1/{model}/tasks/{task_id}", query={"id": "{task_id}", "m": "{model}"})
    assert poll_path(poll, "x/y", "a b&c/d") == "/v1/x/y/tasks/a%20b%26c%2Fd?id=a+b%26c%2Fd&m=x%2Fy"
    assert [is_askable(text) for text in ("job:1", "a.b-c_d", "../x", ".x", "a/b", "", "x" * 129)] == [True] * 2 + [
        False
    ] * 5


def test_rows_match_by_code_or_by_text() -> None:
    """Either is enough; both are taken literally, and codes whole."""
    rows = ErrorRow(codes=("e.1",), texts=("no (more) money",), fault="no_money", in_doubt=True).rows()
    assert classify(ApiError(0, ("e.1",)), rows) == (Fault.NO_MONEY, Billed.UNKNOWN)
    assert classify(ApiError(0, (), "There is NO (more) money."), rows) == (Fault.NO_MONEY, Billed.UNKNOWN)
    assert classify(ApiError(0, ("e11",), "no more money"), rows) == (Fault.FAILED, Billed.NO)


@pytest.mark.parametrize(
    ("urls", "images"),
    [
        ("https://a.test/1", (LinkedImage("https://a.test/1"),)),
        (["https://a.test/1", "https://a.test/2"], (LinkedImage("https://a.test/1"), LinkedImage("https://a.test/2"))),
        ("data:image/png;base64,AAAA", (InlineImage(b"AAAA"),)),
        ([None, 7, "", {"url": "x"}], ()),
        (None, ()),
    ],
)
def test_forms_of_results(urls: object, images: tuple[object, ...]) -> None:
    """One link, a list of them, or a data URL; anything else is no picture."""
    assert read_poll(described(), (), answer({"status": "DONE", "urls": urls})).images == images


@pytest.mark.parametrize(
    ("document", "fault", "billed"),
    [
        ({"error": {"code": "insufficient_quota", "message": "m"}}, Fault.NO_MONEY, Billed.NO),
        ({"error": "the model is odd"}, Fault.FAILED, Billed.NO),
        ({"id": ""}, Fault.NO_ANSWER, Billed.UNKNOWN),
        ({"id": ["x"]}, Fault.NO_ANSWER, Billed.UNKNOWN),
        ({"id": "a/b", "status": "queued"}, Fault.NO_ANSWER, Billed.UNKNOWN),
    ],
)
def test_submits_without_a_task(document: object, fault: Fault, billed: Billed) -> None:
    """An error is believed, silence is not."""
    sections = dict(MINIMAL) | {
        "answer": {
            **described().answer.model_dump(),
            "error_code": "error.code",
            "error_message": ["error.message", "error"],
        }
    }
    with pytest.raises(UpstreamFailure) as caught:
        read_submit(TaskApi.model_validate(sections), (), answer(document))
    assert (caught.value.fault, caught.value.billed) == (fault, billed)


def test_an_accepted_task_counts_before_an_error_beside_it() -> None:
    """What has an id may have been begun."""
    api = described(body_code={"at": "code"})
    assert read_submit(api, (), answer({"code": 500, "id": "t1"})).task_id == "t1"


@pytest.mark.parametrize(
    ("cost", "billed", "usd"),
    [(0, Billed.NO, None), ("0.5", Billed.YES, "0.005"), (-1, Billed.UNKNOWN, None), (True, Billed.UNKNOWN, None),
     ("much", Billed.UNKNOWN, None), (1e9, Billed.UNKNOWN, None), (float("1e-3"), Billed.YES, "0.00001"), (None, Billed.UNKNOWN, None)],
)  # fmt: skip
def test_a_named_cost_decides(cost: object, billed: Billed, usd: str | None) -> None:
    """Of a failed task: nothing, something, or a value that says nothing."""
    sections = described().answer.model_dump() | {"cost": {"at": "cost", "usd_per_unit": "0.01"}}
    api = described(answer=sections)
    found = failed(api, (), read_poll(api, (), answer({"status": "failed", "cost": cost})))
    assert (found.billed, found.cost_usd) == (billed, None if usd is None else Decimal(usd))


def test_a_failed_task_in_doubt_stays_in_doubt() -> None:
    """A row that says so wins over failures that are free, unless the task names its cost."""
    api = described(failures_are_free=True, errors=[{"codes": ["9"], "fault": "failed", "in_doubt": True}])
    task = TaskAnswer("t", "failed", (), "9", "", None)
    assert failed(api, api.rows(), task).billed is Billed.UNKNOWN


def test_http_errors_in_a_form_of_their_own() -> None:
    """Code and message are found at the described places, beside those that everybody uses."""
    api = described(body_code={"at": "err"}, answer={**described().answer.model_dump(), "error_message": "why"})
    error = read_http_error(api, 400, bytearray(b'{"err": 77, "why": "no foxes", "type": "t"}'))
    assert (error.words, error.message, error.from_api) == (("t", "77"), "no foxes", True)
    assert not read_http_error(api, 500, bytearray(b'{"why": "bad gateway"}')).from_api
    assert read_http_error(api, 500, bytearray(b"<html>")) == ApiError(
        500, message="answered with a page that is not JSON"
    )
