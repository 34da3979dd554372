"""Query, list, batch, cancel; models and credits."""

import pytest

from gateway.api.schemas.answers import CreditsAnswer, ModelListAnswer, TaskAnswer, TaskBatchAnswer, TaskListAnswer
from gateway.domain.errors import TaskNotCancellable
from gateway.domain.tasks import AttemptState, Billed, Fault, TaskErrorCode, TaskState
from tests.unit.api.conftest import Edge, MakeEdge
from tests.unit.api.fake_pipeline import (
    CONSIDERED,
    LINK,
    TASK_ID,
    FakePipeline,
    View,
    attempt,
    failed_view,
    pending_task,
)

OTHER_ID = "task-unified-1757165031-00000000"


async def test_a_completed_task_shows_results_and_cost(edge: Edge) -> None:
    """What the contract adds on completion, and the attempts with upstream and price."""
    body = await (await edge.get(f"/v1/tasks/{TASK_ID}")).json()
    TaskAnswer.model_validate(body)
    assert body["results"] == [LINK]
    assert body["result_data"] == [{"image_url": LINK, "expires_at": 1757251433}]
    assert body["usage"] == {
        "billing_rule": "per_call", "credits_reserved": 2.5, "user_group": "default", "credits_used": 1.5, "cost": {"credits": 1.5, "usd": 0.020833},
    }  # fmt: skip
    assert body["attempts"] == [
        {"upstream": "evolink", "status": "succeeded", "fault": None, "cost_usd": 0.0208, "ms": 2000}
    ]
    assert body["task_info"]["can_cancel"] is False
    assert "error" not in body


async def test_a_task_tells_why_this_upstream(make_edge: MakeEdge) -> None:
    """Every offer with price or reason, as in a quote; attempts with fault, cost and times; nothing that an upstream said."""
    said = "organization org-42 has run out"
    failed = attempt(
        state=AttemptState.FAILED, fault=Fault.NO_MONEY, billed=Billed.NO, cost_microusd=0, images=0, message=said
    )
    edge = await make_edge(
        FakePipeline(
            final=View(pending_task(), (failed, attempt()), considered=CONSIDERED, last_resorts=frozenset({failed.id}))
        )
    )
    answer = await edge.get(f"/v1/tasks/{TASK_ID}")
    body = await answer.json()
    TaskAnswer.model_validate(body)
    open_circuit = {"reason": "circuit_open", "message": "it is failing and is left alone for a while"}
    not_able = {"reason": "not_able", "message": "does not make 1024x1024"}
    assert body["routing"]["offers"] == [
        {
            "upstream": "dear",
            "model": "gpt-image-2",
            "expected_usd": 0.04,
            "most_usd": 0.05271,
            "skipped": open_circuit,
        },
        {"upstream": "evolink", "model": "gpt-4o-image", "expected_usd": 0.0208, "most_usd": 0.0208, "skipped": None},
        {"upstream": "small", "model": "tiny", "expected_usd": None, "most_usd": None, "skipped": not_able},
    ]
    first, second = body["routing"]["attempts"]
    assert first == {
        "upstream": "evolink", "model": "gpt-4o-image", "n": 1, "images": 0, "status": "failed", "fault": "no_money", "billed": "no",
        "cost_usd": 0, "sent_at_ms": 1_757_165_031_410, "ended_at_ms": 1_757_165_033_410,
        "last_resort": True,
    }  # fmt: skip
    assert (second["status"], second["fault"], second["billed"], second["cost_usd"]) == (
        "succeeded",
        None,
        None,
        0.0208,
    )
    assert said not in await answer.text()


@pytest.mark.parametrize(
    ("code", "status"),
    [(TaskErrorCode.CONTENT_POLICY_VIOLATION, "failed"), (TaskErrorCode.REQUEST_CANCELLED, "cancelled")],
)
async def test_a_task_without_pictures_shows_why(make_edge: MakeEdge, code: TaskErrorCode, status: str) -> None:
    """Error code and sentence, and that nothing is charged."""
    edge = await make_edge(FakePipeline(final=failed_view(code)))
    body = await (await edge.get(f"/v1/tasks/{TASK_ID}")).json()
    TaskAnswer.model_validate(body)
    assert (body["status"], body["error"]["code"], body["usage"]["credits_used"]) == (status, code, 0)
    assert "results" not in body


async def test_an_open_task_shows_its_attempts(make_edge: MakeEdge) -> None:
    """While it runs there is neither charge nor result, but what was tried so far."""
    failed = attempt(state=AttemptState.FAILED, fault=Fault.OVERLOADED, cost_microusd=0)
    running = attempt(state=AttemptState.SENDING, ended_at_ms=None, cost_microusd=0)
    edge = await make_edge(FakePipeline(final=View(pending_task(), (failed, running), progress=10)))
    body = await (await edge.get(f"/v1/tasks/{TASK_ID}")).json()
    TaskAnswer.model_validate(body)
    assert "credits_used" not in body["usage"]
    assert [(each["fault"], each["ms"]) for each in body["attempts"]] == [("overloaded", 2000), (None, None)]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "task_id", ["x", "task-unified-1-abc", TASK_ID + "x", TASK_ID.upper(), "%00", "task-unified-1757165031-uyujaw3d%0A"]
)
async def test_malformed_ids_are_400(edge: Edge, method: str, task_id: str) -> None:
    """They never reach the store."""
    path = f"/v1/tasks/{task_id}" + ("/cancel" if method == "POST" else "")
    answer = await (edge.get(path) if method == "GET" else edge.post(path, {}))
    error = (await answer.json())["error"]
    assert (answer.status, error["code"], error["param"]) == (400, "invalid_task_id", "task_id")
    assert edge.pipeline.asked == []


async def test_unknown_tasks_are_404(edge: Edge) -> None:
    """Another key's task and none at all look the same."""
    answer = await edge.get(f"/v1/tasks/{OTHER_ID}")
    assert (answer.status, (await answer.json())["error"]["code"]) == (404, "task_not_found")


async def test_a_list_has_pages_and_rows(edge: Edge) -> None:
    """Filters and page reach the store, rows have the contract's fields."""
    body = await (await edge.get("/v1/tasks?status=completed&model=gpt-4o-image&page=2&page_size=100")).json()
    TaskListAnswer.model_validate(body)
    assert edge.pipeline.asked == [(TaskState.COMPLETED, "gpt-4o-image", 2, 100)]
    assert body["data"][0]["duration"] == 2.1
    assert (body["data"][0]["result_count"], body["data"][0]["has_results"], body["data"][0]["has_error"]) == (
        1,
        True,
        False,
    )


@pytest.mark.parametrize(
    ("query", "param"),
    [("page=0", "page"), ("page=-1", "page"), ("page=x", "page"), ("page=²", "page"), ("page_size=101", "page_size"), ("page_size=0", "page_size"),
     ("page=9999999999", "page"), ("status=done", "status")],
)  # fmt: skip
async def test_bad_pages_are_named(edge: Edge, query: str, param: str) -> None:
    """Out of bounds or no number: 400 with the parameter."""
    answer = await edge.get(f"/v1/tasks?{query}")
    assert (answer.status, (await answer.json())["error"]["param"]) == (400, param)


async def test_a_batch_leaves_out_what_it_does_not_find(edge: Edge) -> None:
    """Unknown, malformed and repeated ids neither fail nor appear twice."""
    answer = await edge.post("/v1/tasks/batch", {"task_ids": [TASK_ID, OTHER_ID, "rubbish", TASK_ID]})
    body = await answer.json()
    TaskBatchAnswer.model_validate(body)
    assert (body["code"], [each["id"] for each in body["data"]]) == (200, [TASK_ID])
    assert edge.pipeline.asked == [(TASK_ID, OTHER_ID)]


@pytest.mark.parametrize("ids", [None, [], "x", [1], [OTHER_ID] * 51])
async def test_bad_batches_are_named(edge: Edge, ids: object) -> None:
    """Not a list of 1 to 50 texts: 400 for task_ids."""
    answer = await edge.post("/v1/tasks/batch", {"task_ids": ids})
    assert (answer.status, (await answer.json())["error"]["param"]) == (400, "task_ids")


async def test_cancel_answers_the_task_or_409(make_edge: MakeEdge) -> None:
    """What cannot be cancelled is a conflict that no SDK retries."""
    edge = await make_edge(FakePipeline(final=failed_view(TaskErrorCode.REQUEST_CANCELLED)))
    answer = await edge.client.post(f"/v1/tasks/{TASK_ID}/cancel", headers={"api-key": "igw_aKeyThatWorks"})
    assert (answer.status, (await answer.json())["status"]) == (200, "cancelled")
    edge = await make_edge(FakePipeline(error=TaskNotCancellable("It is finished.")))
    answer = await edge.post(f"/v1/tasks/{TASK_ID}/cancel", {})
    assert (answer.status, answer.headers["x-should-retry"]) == (409, "false")


async def test_models_have_openais_shape(edge: Edge) -> None:
    """List and single look-up, also for names with a slash; unknown ones are 404."""
    body = await (await edge.get("/v1/models")).json()
    ModelListAnswer.model_validate(body)
    assert [each["id"] for each in body["data"]] == ["gpt-4o-image", "gpt-image-2", "vendor/flux"]
    assert (await (await edge.get("/v1/models/vendor/flux")).json())["id"] == "vendor/flux"
    answer = await edge.get("/v1/models/nothing")
    assert (answer.status, (await answer.json())["error"]["code"]) == (404, "model_not_found")


async def test_credits_have_the_contracts_shape(edge: Edge) -> None:
    """Limits and their absence are both said."""
    body = await (await edge.get("/v1/credits")).json()
    CreditsAnswer.model_validate(body)
    assert body["data"]["token"] == {"remaining_credits": 98.5, "unlimited_credits": False, "used_credits": 1.5}
    assert body["data"]["user"] == {"remaining_credits": None, "used_credits": 3}


async def test_every_task_answer_names_its_task(edge: Edge) -> None:
    """Headers as config promises them."""
    answer = await edge.get(f"/v1/tasks/{TASK_ID}")
    assert answer.headers["X-Task-Id"] == TASK_ID
    assert answer.headers["X-Credits-Used"] == "1.5"


@pytest.mark.parametrize(("query", "asked"), [("", None), ("?wait=0", None), ("?wait=30", 30), ("?wait=300", 300)])
async def test_a_query_may_wait(edge: Edge, query: str, asked: int | None) -> None:
    """So many seconds, and without `wait` not at all."""
    answer = await edge.get(f"/v1/tasks/{TASK_ID}{query}")
    assert (answer.status, (await answer.json())["status"]) == (200, "completed")
    assert [what for what in edge.pipeline.asked if isinstance(what, int)] == ([] if asked is None else [asked])


@pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "301", "30s", "9999999999", "%2B5", "٣", "5&wait=5"])
async def test_a_bad_wait_is_400(edge: Edge, value: str) -> None:
    """It names the parameter and what would be right, and nothing is looked up."""
    answer = await edge.get(f"/v1/tasks/{TASK_ID}?wait={value}")
    error = (await answer.json())["error"]
    assert (answer.status, error["code"], error["param"]) == (400, "invalid_parameter", "wait")
    assert "0 to 300" in error["message"]
    assert edge.pipeline.asked == []
