"""kie.ai's jobs API (its documentation, read 2026-11): HTTP 200 whatever happens, the body's `code` tells; results are a JSON text inside the JSON.

It bills jobs that succeed; what one cost is not said. A job may be asked for three times a second at most.
"""

from typing import ClassVar

from gateway.domain.images import Quality
from gateway.upstreams.task_api import TaskApiAdapter
from gateway.upstreams.task_description import Answer, BodyCode, ErrorRow, Poll, SizesDescribed, Submit, TaskApi

KIE = TaskApi(
    submit=Submit(
        path="/api/v1/jobs/createTask",
        body={
            "model": "{model}",
            "input": {
                "prompt": "{prompt}",
                "aspect_ratio": "{size}",
                "resolution": "{step}",
                "quality": "{quality}",
                "input_urls": "{image_urls}",
            },
        },
        extra_in="input",
        task_id=("data.taskId",),
    ),
    poll=Poll(path="/api/v1/jobs/recordInfo", query={"taskId": "{task_id}"}, interval=3.0, first_after=3.0),
    answer=Answer(
        status=("data.state",),
        statuses={
            "waiting": "pending", "queuing": "pending", "generating": "pending",
            "success": "done", "fail": "failed",
        },
        results=("data.resultJson.resultUrls",),
        error_code=("data.failCode",),
        error_message=("data.failMsg",),
    ),
    body_code=BodyCode(at=("code",), good=("200",)),
    errors=(
        ErrorRow(texts=("content polic",), fault="refused"),
        ErrorRow(codes=("505",), fault="overloaded"),  # the model is switched off, for everybody
    ),
    failures_are_free=True,
    sizes=SizesDescribed(
        ratios=("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"),
        steps={"1K": 1024, "2K": 2048, "4K": 4096},
    ),
    qualities=(Quality.LOW, Quality.MEDIUM, Quality.HIGH),
    references_max=16,
    links_live=1_209_600.0,
    check="/api/v1/chat/credit",
)  # fmt: skip


class KieAdapter(TaskApiAdapter):
    kind: ClassVar[str] = "kie"
    preset: ClassVar[TaskApi | None] = KIE
