"""APIMart's task API (its documentation, read 2026-11): one picture a call, by ratio and resolution; a failed task is refunded.

Each ended task names its cost in USD. Its pages show two shapes of the answer to a submit, and two of a link: both are read. No call that costs
nothing is documented but the polls, so there is no check; nor a cancel.
"""

from typing import ClassVar

from gateway.upstreams.task_api import TaskApiAdapter
from gateway.upstreams.task_description import Answer, BodyCode, Cost, Poll, SizesDescribed, Submit, TaskApi

APIMART = TaskApi(
    submit=Submit(
        path="/v1/images/generations",
        body={
            "model": "{model}", "prompt": "{prompt}", "n": "{n}", "size": "{size}", "resolution": "{step}",
            "image_urls": "{image_urls}",
        },
        task_id=("data.0.task_id", "data.task_id", "data.id", "data.0.id"),
    ),
    # Its advice: first after 10 to 20 seconds, then every 3 to 5.
    poll=Poll(path="/v1/tasks/{task_id}", query={"language": "en"}, interval=3.0, first_after=10.0),
    answer=Answer(
        status=("data.status", "data.0.status"),
        statuses={
            "submitted": "pending", "pending": "pending", "processing": "pending",
            "completed": "done", "failed": "failed", "cancelled": "failed",
        },
        results=("data.result.images.*.url",),
        error_code=("data.error.code", "error.code"),
        error_message=("data.error.message", "data.error", "error.message"),
        cost=Cost(at=("data.cost",)),
    ),
    body_code=BodyCode(at=("code",), good=("200",)),
    failures_are_free=True,
    sizes=SizesDescribed(
        ratios=("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"),
        steps={"1k": 1024, "2k": 2048, "4k": 4096},
    ),
    references_max=16,
    references_as="data_urls",
    links_live=86_400.0,
)  # fmt: skip


class APIMartAdapter(TaskApiAdapter):
    kind: ClassVar[str] = "apimart"
    preset: ClassVar[TaskApi | None] = APIMART
