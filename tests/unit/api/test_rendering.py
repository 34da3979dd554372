"""What the renderings leave out."""

from dataclasses import replace
from typing import Any

import orjson

from gateway.api.rendering import image_answer, task_created
from gateway.domain.images import ImageRequest, ResponseFormat
from gateway.pipeline.picture_texts import PictureText
from tests.unit.api.fake_pipeline import LINK, completed_view, pending_task
from tests.unit.api.fake_pipeline import View as FakeView

REQUEST = ImageRequest("gpt-image-2", "a red fox")


def joined(parts: list[PictureText]) -> Any:
    return orjson.loads(b"".join(part for part in parts if isinstance(part, bytes)))


def test_unusual_sizes_and_formats_are_not_named() -> None:
    """A size that strict clients refuse is left out, as is what differs from picture to picture."""
    view = completed_view(2, usage=False)
    first, second = view.task.results
    view.task = replace(view.task, results=(replace(first, width=512), replace(second, content_type="image/webp")))
    body = joined(image_answer(view, REQUEST, None, (b"QQ==", b"Qg==")))
    assert body == {
        "created": 1757165031,
        "data": [{"b64_json": "QQ==", "url": LINK}, {"b64_json": "Qg==", "url": LINK}],
    }


def test_a_revised_prompt_is_passed_on_and_escaped() -> None:
    """It stands beside the picture whatever characters it has."""
    view = completed_view(1, usage=False)
    view.task = replace(view.task, results=(replace(view.task.results[0], revised_prompt='a "fox"\n'),))
    for wish in (None, *ResponseFormat):
        body = joined(image_answer(view, REQUEST, wish, (b"QQ==",)))
        assert body["data"][0]["revised_prompt"] == 'a "fox"\n'


def test_fewer_links_than_pictures_do_no_harm() -> None:
    """A picture whose link is gone still has its bytes."""
    view = completed_view(1, usage=False)
    view.links = ()
    body = joined(image_answer(view, REQUEST, None, (b"QQ==",)))
    assert body["data"] == [{"b64_json": "QQ=="}]


def test_money_is_shown_as_a_plain_number() -> None:
    """2.5 and 3, never 3.0 or a text."""
    assert b'"credits_reserved":2.5' in orjson.dumps(task_created(FakeView(pending_task())))
    whole = FakeView(replace(pending_task(), reserved_microcredits=3_000_000))
    assert b'"credits_reserved":3,' in orjson.dumps(task_created(whole))
