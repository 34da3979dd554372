"""`POST /v1/images/edits`, `/variations`, and generations with pictures: what clients send, what becomes of it, and what is left behind when not."""

import base64
import io
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from gateway.domain.errors import ImageTooLarge, InsufficientQuota, ModelNotFound, PromptTooLong, RateLimited
from gateway.domain.files import MASK_BYTES_MAX, Purpose
from gateway.domain.ids import AccountId
from gateway.domain.images import Contract, ImageInput, InputSource, Operation
from gateway.pipeline.admission import RequestDraft
from tests.multipart_bodies import BOUNDARY, Sent, body_of
from tests.unit.api.conftest import Edge, MakeEdge
from tests.unit.api.fake_pipeline import KEY, TASK_ID, FakePipeline, completed_view
from tests.unit.api.fake_uploads import JPEG, PNG

LARGE = PNG + bytes(3_000_000)
MASK = b"\x89PNG\r\n\x1a\n" + b"mask" * 99
URL = "https://images.acme.com/fox.png"


def draft_of(edge: Edge) -> RequestDraft:
    (draft,) = [asked for asked in edge.pipeline.asked if isinstance(asked, RequestDraft)]
    return draft


def contents(edge: Edge) -> list[bytes]:
    """Of the pictures that the call was admitted with, in order, the mask last."""
    draft = draft_of(edge)
    pictures = draft.images if draft.mask is None else (*draft.images, draft.mask)
    assert {picture.source for picture in pictures} == {InputSource.FILE}
    return [edge.uploads.contents[picture.value] for picture in pictures]


def data_url(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


async def form(
    edge: Edge, *parts: Sent, path: str = "/v1/images/edits", boundary: str = BOUNDARY, **headers: str
) -> aiohttp.ClientResponse:
    return await edge.client.post(
        path,
        data=io.BytesIO(body_of(parts, boundary)),
        headers={
            "Authorization": f"Bearer {KEY}", "Content-Type": f"multipart/form-data; boundary={boundary}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        },
    )  # fmt: skip


def sdk(edge: Edge) -> openai.AsyncOpenAI:
    base_url = str(edge.client.make_url("/v1"))
    return openai.AsyncOpenAI(base_url=base_url, api_key=KEY, max_retries=0, _strict_response_validation=True)


async def test_the_sdk_edits_pictures_in_every_form_of_a_file(edge: Edge, tmp_path: Path) -> None:
    """Bytes, a handle, a path, a tuple with a name: each arrives whole, under OpenAI's answer."""
    file = tmp_path / "fox.png"
    file.write_bytes(LARGE)
    async with sdk(edge) as client:
        for given in (LARGE, file, ("a/b/fox.png", LARGE, "image/png"), ("fox.png", io.BytesIO(LARGE))):
            edge.pipeline.asked.clear()
            answer = await client.images.edit(model="gpt-image-2", image=given, prompt="a hat")
            assert answer.data is not None
            assert answer.data[0].b64_json == "aGVsbG8="
            draft = draft_of(edge)
            assert (draft.operation, draft.prompt, draft.n, draft.mask) == (Operation.EDIT, "a hat", 1, None)
            assert contents(edge) == [LARGE]
    assert edge.uploads.largest_piece < 600_000, "the picture was never in memory whole"
    assert edge.uploads.forgotten == []


async def test_the_sdk_edits_several_with_a_mask_and_all_parameters(edge: Edge) -> None:
    """Order is kept, the mask stands apart, numbers and truths become what they were, what means nothing here is reported."""
    async with sdk(edge) as client:
        raw = await client.images.with_raw_response.edit(
            model="gpt-4o-image", image=[PNG, JPEG], mask=MASK, prompt="a hat", n=2, size="1024x1024", quality="high",
            background="opaque", output_format="webp", output_compression=80, input_fidelity="high", user="u", stream=False,
            svg={"model": "m", "reasoning": {"effort": "low"}}, extra_body={"seed": 7, "whatever": True},
        )  # fmt: skip
    draft = draft_of(edge)
    assert contents(edge) == [PNG, JPEG, MASK]
    assert draft.input_names == ("image[0]", "image[1]", "mask")
    assert (draft.model, draft.n, draft.size, draft.quality, draft.background) == (
        "gpt-4o-image",
        2,
        "1024x1024",
        "high",
        "opaque",
    )
    assert dict(draft.options) == {"output_compression": "80", "input_fidelity": '"high"', "seed": "7", "user": '"u"'}
    assert raw.headers["X-Dropped-Params"] == "svg, whatever"
    assert Contract.IMAGE in edge.pipeline.asked


async def test_the_sdk_streams_an_edit(edge: Edge) -> None:
    """A form may ask for a stream; its events are those of edits."""
    async with sdk(edge) as client:
        stream = await client.images.edit(model="gpt-image-2", image=PNG, prompt="a hat", stream=True, partial_images=1)
        assert "image_edit.completed" in [event.type async for event in stream]
    assert draft_of(edge).partial_images == 1
    assert edge.uploads.forgotten == []


async def test_parts_may_come_in_any_order(edge: Edge) -> None:
    """Files before scalars, numbered names, and files without a name: told by the part's name and its bytes alone."""
    answer = await form(
        edge, Sent("mask", MASK), Sent("image[1]", PNG, "", "text/plain"), Sent("size", b""), Sent("image[]", JPEG, "x.exe"),
        Sent("prompt", "ein Hüt".encode()), Sent("model", b"gpt-image-2"), Sent("n", b"2"),
    )  # fmt: skip
    assert answer.status == 200
    assert (draft_of(edge).prompt, draft_of(edge).n, draft_of(edge).size) == ("ein Hüt", 2, None)
    assert contents(edge) == [PNG, JPEG, MASK]


async def test_a_form_can_be_answered_with_a_task(edge: Edge) -> None:
    """The same rules choose the contract; its pictures are the task's then."""
    parts = (Sent("image", PNG, "a.png"), Sent("prompt", b"a hat"), Sent("model", b"gpt-4o-image"))
    answer = await form(edge, *parts)
    assert ((await answer.json())["status"], answer.headers["X-Task-Id"]) == ("pending", TASK_ID)
    assert edge.uploads.forgotten == []


JSON_IMAGES: list[tuple[dict[str, str], InputSource]] = [
    ({"image_url": data_url(PNG)}, InputSource.FILE),
    ({"image_url": data_url(LARGE).replace("image/png", "image/jpeg")}, InputSource.FILE),
    ({"image_url": URL}, InputSource.URL),
]


async def test_the_json_form(edge: Edge) -> None:
    """Short and long data: URLs, links, and ids of files, in the caller's order."""
    stored = edge.uploads.put(JPEG)
    images = [each for each, _ in JSON_IMAGES] + [{"file_id": stored.id}]
    mask = {"image_url": data_url(MASK)}
    answer = await edge.post(
        "/v1/images/edits", {"model": "gpt-image-2", "prompt": "a hat", "images": images, "mask": mask}
    )
    assert answer.status == 200
    draft = draft_of(edge)
    assert [picture.source for picture in draft.images] == [source for _, source in JSON_IMAGES] + [InputSource.FILE]
    assert draft.images[2].value == URL
    assert draft.images[3].value == stored.id
    assert edge.uploads.contents[draft.images[1].value] == LARGE
    assert draft.mask is not None
    assert edge.uploads.contents[draft.mask.value] == MASK
    assert draft.input_names == ("images[0]", "images[1]", "images[2]", "images[3]", "mask")
    assert edge.uploads.largest_piece < 800_000  # what came while the last one was decoded


async def test_generations_take_pictures(edge: Edge) -> None:
    """image_urls and mask_url of the task contract: then the call is an edit."""
    answer = await edge.generate(image_urls=[data_url(LARGE)], mask_url=data_url(MASK))
    assert answer.status == 200
    draft = draft_of(edge)
    assert (draft.operation, draft.input_names) == (Operation.EDIT, ("image_urls[0]", "mask_url"))
    assert contents(edge) == [LARGE, MASK]


async def test_own_files_and_results_are_resolved_inside(edge: Edge) -> None:
    """A file by id or URL is that file; a result's link becomes a copy; nobody connects to this gateway for it."""
    stored = edge.uploads.put(JPEG)
    base = "http://127.0.0.1:8080/v1"
    urls = [stored.id, f"{base}/files/{stored.id}/content", f"{base}/results/dG9rZW4/att_1-0.png", f"{base}/models"]
    await edge.generate(image_urls=urls)
    images = draft_of(edge).images
    assert [image.value for image in images[:2]] == [stored.id] * 2
    assert ("dG9rZW4", "att_1-0.png") in edge.pipeline.asked
    assert edge.pipeline.file is not None
    assert edge.uploads.contents[images[2].value] == edge.pipeline.file.content
    assert edge.uploads.stored[images[2].value].purpose is Purpose.CALL
    assert images[3] == ImageInput(InputSource.URL, urls[3]), "left to the checks of any stranger's URL"


async def test_the_edge_of_azure_and_a_repeat_keep_the_body(edge: Edge) -> None:
    """No pictures: nothing is stored, the operation is the old one."""
    await edge.generate(image_urls=[], mask_url=None)
    assert (draft_of(edge).operation, draft_of(edge).images, edge.uploads.stored) == (Operation.GENERATE, (), {})


BAD_BODIES: list[tuple[str, dict[str, Any], str, str]] = [
    ("edits", {}, "prompt", "invalid_parameter"),
    ("edits", {"images": []}, "images", "invalid_parameter"),
    ("edits", {"images": [{}]}, "images[0]", "invalid_parameter"),
    ("edits", {"images": [{"image_url": URL, "file_id": "file-x"}]}, "images[0]", "invalid_parameter"),
    ("edits", {"images": [{"image_url": URL}, {"url": URL}]}, "images[1].url", "invalid_parameter"),
    ("edits", {"images": [{"image_url": URL}] * 17}, "images", "invalid_parameter"),
    ("edits", {"images": [{"image_url": URL}, {"file_id": "file-nobody"}]}, "images[1]", "file_not_found"),
    ("edits", {"images": [{"file_id": URL}]}, "images[0]", "file_not_found"),
    ("edits", {"images": [{"image_url": data_url(b"GIF89a")}]}, "images[0]", "invalid_image"),
    ("edits", {"images": [{"image_url": URL}, {"image_url": data_url(b"no picture" * 9999)}]}, "images[1]", "invalid_image"),
    ("edits", {"images": [{"image_url": data_url(LARGE)[:-11]}]}, "images[0]", "invalid_image"),
    ("edits", {"images": [{"image_url": "data:image/png," + "x" * 20_000}]}, "images[0]", "invalid_image"),
    ("edits", {"images": [{"image_url": data_url(LARGE)[:-900] + "*" + "A" * 899}]}, "images[0]", "invalid_image"),
    ("edits", {"images": [{"image_url": "data:"}]}, "images[0]", "invalid_image"),
    ("edits", {"images": [{"image_url": URL}], "mask": {"image_url": data_url(PNG + bytes(MASK_BYTES_MAX))}}, "mask", "image_too_large"),
    ("edits", {"images": [{"image_url": URL}], "user": data_url(LARGE)}, "", "invalid_parameter"),
    ("generations", {"image_urls": [URL] * 17}, "image_urls", "invalid_parameter"),
    ("generations", {"image_urls": [URL, 5]}, "image_urls[1]", "invalid_parameter"),
    ("generations", {"image_urls": [URL, URL], "mask_url": URL}, "mask_url", "invalid_parameter"),
    ("generations", {"mask_url": URL}, "mask_url", "invalid_parameter"),
    ("generations", {"image_urls": [URL, data_url(PNG + bytes(10_000_000))]}, "image_urls[1]", "image_too_large"),
    ("variations", {"images": [{"image_url": URL}] * 2}, "images", "invalid_parameter"),
]  # fmt: skip


async def test_what_is_wrong_with_a_picture_names_its_field(edge: Edge) -> None:
    """With the index; nothing stays behind."""
    for route, fields, param, code in BAD_BODIES:
        prompt = {} if param == "prompt" else {"prompt": "a hat"}
        answer = await edge.post(f"/v1/images/{route}", {**prompt, "images": [{"image_url": URL}], **fields})
        error = (await answer.json())["error"]
        assert (error["param"] or "", error["code"]) == (param, code), error
        assert not param or error["message"].startswith(param), error
        assert edge.uploads.stored == {}
        assert edge.pipeline.asked == []


async def test_anothers_file_does_not_exist(edge: Edge) -> None:
    """By id or by URL: 404, as for an unknown one."""
    theirs = edge.uploads.put(PNG, account=AccountId("key:other//x"))
    answer = await edge.generate(image_urls=[f"http://127.0.0.1:8080/v1/files/{theirs.id}/content"])
    assert (answer.status, (await answer.json())["error"]["param"]) == (404, "image_urls[0]")


FORM = (Sent("prompt", b"a hat"), Sent("image", PNG, "a.png"))
BAD_FORMS: list[tuple[list[Sent], str, str]] = [
    ([Sent("prompt", b"a hat")], "image", "invalid_parameter"),
    ([Sent("image", PNG, "a.png")], "prompt", "invalid_parameter"),
    ([*FORM, Sent("prompt", b"again")], "prompt", "invalid_parameter"),
    ([*FORM, Sent("mask", MASK, "m"), Sent("mask", MASK, "m")], "mask", "invalid_parameter"),
    ([*FORM, Sent("mask", PNG + bytes(MASK_BYTES_MAX), "m")], "mask", "image_too_large"),
    ([Sent("prompt", b"a hat"), *[Sent("image[]", PNG, "a.png")] * 17], "image", "invalid_parameter"),
    ([*FORM, Sent("n", b"two")], "n", "invalid_parameter"),
    ([*FORM, Sent("images", b"x")], "images", "invalid_parameter"),
    ([*FORM, Sent("quality", b"best")], "quality", "invalid_parameter"),
    ([*FORM, Sent("markup", PNG, "m.png")], "markup", "unsupported_parameter"),
    ([*FORM, Sent("photo", PNG, "m.png")], "photo", "invalid_parameter"),
    ([*FORM, Sent("user", b"\xff")], "user", "invalid_parameter"),
    ([*FORM, Sent("image[]", b"no picture", "a.png")], "image[]", "invalid_image"),
    ([Sent("image[]", PNG, "a.png")] * 18, "image[]", "invalid_parameter"),
    ([*FORM, *[Sent(f"x{number}", b"x" * 200_000) for number in range(6)]], "", "request_too_large"),
]


async def test_a_bad_form_names_its_part_and_leaves_nothing(edge: Edge) -> None:
    """Whatever came before the mistake is forgotten."""
    for parts, param, code in BAD_FORMS:
        error = (await (await form(edge, *parts)).json())["error"]
        assert (error["param"] or "", error["code"]) == (param, code), error
        assert edge.uploads.stored == {}


async def test_a_refused_call_leaves_no_pictures(make_edge: MakeEdge) -> None:
    """Whoever refuses it: the limiter, the admission, the budget, a model that there is not."""
    refusals: list[Any] = [
        RateLimited("Too many.", retry_after_s=1), PromptTooLong("Too long."), ModelNotFound("No such model.", param="model"),
        InsufficientQuota("No credits."), RuntimeError("a fault of our own"),
    ]  # fmt: skip
    for refusal in refusals:
        pipeline = FakePipeline()
        if isinstance(refusal, RateLimited):
            pipeline.rate_error = refusal
        else:
            pipeline.error = refusal
        edge = await make_edge(pipeline)
        answer = await form(edge, *FORM, Sent("mask", MASK, "m.png"))
        assert answer.status >= 400
        assert (len(edge.uploads.forgotten), edge.uploads.stored) == (2, {})


async def test_a_store_that_refuses_is_heard(edge: Edge) -> None:
    """Its error is the answer, with the part's name."""
    edge.uploads.error = ImageTooLarge("The picture has too many pixels.")
    error = (await (await form(edge, *FORM)).json())["error"]
    assert (error["param"], error["code"]) == ("image", "image_too_large")
    edge.uploads.error = InsufficientQuota("This key may store 1 GB.")
    assert (await form(edge, *FORM)).status == 402


async def test_equal_forms_are_equal_calls(make_edge: MakeEdge) -> None:
    """By what their parts hold: not by boundary, file names or the order of fields; a changed byte is another call."""

    async def hash_of(*parts: Sent, boundary: str = BOUNDARY) -> str:
        edge = await make_edge()
        assert (await form(edge, *parts, boundary=boundary, Idempotency_Key="k")).status == 200
        assert edge.pipeline.repeat is not None
        return edge.pipeline.repeat.body_sha256

    first = await hash_of(*FORM)
    assert await hash_of(FORM[1], FORM[0], boundary="other") == first
    assert await hash_of(FORM[0], Sent("image", PNG, "b/c.png", "image/png")) == first
    assert await hash_of(FORM[0], Sent("image", PNG + b"x", "a.png")) != first
    assert await hash_of(FORM[0], Sent("mask", MASK), FORM[1]) != first
    assert await hash_of(Sent("prompt", b"a cap"), FORM[1]) != first


async def test_equal_bodies_with_pictures_are_equal_calls(make_edge: MakeEdge) -> None:
    """A long data: URL counts by its content, whatever its name in the body was this time, and however the body was cut."""

    async def hash_of(url: str) -> str:
        edge = await make_edge()
        await edge.generate({"Idempotency-Key": "k"}, image_urls=[url])
        assert edge.pipeline.repeat is not None
        return edge.pipeline.repeat.body_sha256

    assert await hash_of(data_url(LARGE)) == await hash_of(data_url(LARGE))
    assert await hash_of(data_url(LARGE)) != await hash_of(data_url(LARGE + b"x"))


async def test_a_repeat_is_answered_and_its_pictures_forgotten(make_edge: MakeEdge) -> None:
    """The first call's are there; these are not needed."""
    edge = await make_edge(FakePipeline(found=completed_view()))
    answer = await form(edge, *FORM, Idempotency_Key="k")
    assert (answer.status, answer.headers["Idempotency-Replayed"]) == (200, "true")
    assert (len(edge.uploads.forgotten), edge.uploads.stored) == (1, {})
    assert edge.pipeline.rates_taken == 0


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning", "ignore:The endpoint")
async def test_variations(edge: Edge) -> None:
    """The SDK's method: one picture and no prompt. Whether an offer makes them is the admission's."""
    async with sdk(edge) as client:
        answer = await client.images.create_variation(model="gpt-image-2", image=PNG, n=2)
    assert answer.data is not None
    draft = draft_of(edge)
    assert (draft.operation, draft.prompt, draft.n, contents(edge)) == (Operation.VARIATION, "", 2, [PNG])


async def test_a_quote_takes_the_same_and_keeps_nothing(edge: Edge) -> None:
    """A generation with pictures, an edit as JSON, and a form."""
    bodies: list[dict[str, object]] = [
        {"image_urls": [data_url(LARGE)]},
        {"images": [{"image_url": data_url(PNG)}]},
    ]
    for body in bodies:
        edge.pipeline.asked.clear()
        assert (await edge.post("/v1/images/quote", {"prompt": "a hat", **body})).status == 200
        assert (draft_of(edge).operation, len(draft_of(edge).images)) == (Operation.EDIT, 1)
    edge.pipeline.asked.clear()
    assert (await form(edge, *FORM, path="/v1/images/quote")).status == 200
    assert draft_of(edge).operation is Operation.EDIT
    assert (len(edge.uploads.forgotten), edge.uploads.stored) == (3, {})
