"""Pictures of callers through the whole gateway, drawn by the sandbox: uploads, own links, strangers' URLs, and what is refused at once."""

import base64
from pathlib import Path

import aiohttp

from tests.integration.gateway_app import KEY, OTHER_KEY, House, Settings, accounts, serving, write_config
from tests.multipart_bodies import BOUNDARY, Sent, body_of
from tests.uploads import picture

PNG, JPEG = picture(mode="RGBA"), picture("JPEG")
SANDBOX: dict[str, Settings] = {"sandbox": {"kind": "sandbox", "latency": "5ms"}}


def kept(folder: Path) -> list[Path]:
    """The callers' pictures in the store."""
    return [path for path in (folder / "images").rglob("*file-*") if path.is_file()]


async def form(house: House, path: str, *parts: Sent, key: str = KEY) -> tuple[int, dict[str, object]]:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    async with house.http.post(house.origin + path, data=body_of(parts), headers=headers) as answer:
        return answer.status, await answer.json()


async def test_uploads_links_and_results_become_pictures_of_tasks(sqlite_database: str, tmp_path: Path) -> None:
    """A file by id and by EvoLink's URL, a result's own link, a data: URL: the task completes, and none of them is anybody else's."""
    config = write_config(tmp_path, sqlite_database, SANDBOX)
    async with serving(config, {}) as house:
        status, file = await form(house, "/v1/files", Sent("purpose", b"vision"), Sent("file", PNG, "fox.png"))
        assert status == 200
        text = base64.b64encode(JPEG).decode()
        data = (await house.call("POST", "/api/v1/files/upload/base64", body={"base64_data": text})).json["data"]
        assert isinstance(data, dict)
        first = await house.generate(
            "gpt-4o-image", image_urls=[file["id"], data["file_url"], f"data:image/jpeg;base64,{text}"]
        )
        assert first.status == 200, first.body
        done = await house.ended(first.text("id"))
        assert done["status"] == "completed", done
        results = done["results"]
        assert isinstance(results, list)
        again = await house.generate("gpt-image-2", image_urls=results)
        assert again.status == 200, again.body
        theirs = await house.generate("gpt-4o-image", key=OTHER_KEY, image_urls=[file["id"]])
        assert (theirs.status, theirs.error["param"]) == (404, "image_urls[0]")
        assert (await house.get(f"/v1/files/{file['id']}/content")).body == PNG
        assert (await house.get(f"/v1/files/{file['id']}", key=OTHER_KEY)).status == 404
        listed = (await house.get("/v1/files")).json["data"]
        assert isinstance(listed, list)
        assert [each["id"] for each in listed] == [data["file_id"], file["id"]], "the parts of calls are not listed"
    assert len(kept(tmp_path)) >= 2


async def test_what_cannot_be_is_refused_at_once_and_leaves_nothing(sqlite_database: str, tmp_path: Path) -> None:
    """Addresses inside, too many pictures, masks without their picture, no picture at all; nothing is held or stored for any of them."""
    config = write_config(tmp_path, sqlite_database, SANDBOX, accounts=accounts("0credits/total"))
    inside = [
        "http://127.0.0.1/a.png",
        "https://169.254.169.254/x",
        "https://localhost/a.png",
        "https://10.0.0.1/a.png",
        "ftp://a.com/b",
    ]
    async with serving(config, {}) as house:
        for url in inside:
            answer = await house.generate(
                "gpt-4o-image", image_urls=["data:image/png;base64," + base64.b64encode(PNG).decode(), url]
            )
            assert (answer.status, answer.error["param"]) == (400, "image_urls[1]"), url
        answer = await house.generate("gpt-4o-image", image_urls=["https://images.acme.com/a.png"] * 6)
        assert (answer.status, answer.error["param"]) == (400, "image_urls")
        parts = (Sent("model", b"gpt-image-2"), Sent("prompt", b"a red hat"), Sent("image", PNG, "a.png"))
        status, refused = await form(house, "/v1/images/edits", *parts)
        assert status == 402 or refused["error"]["code"] == "insufficient_quota"  # type: ignore[index]  # an error is an object
        status, refused = await form(house, "/v1/images/edits", *parts[:2], Sent("image", PNG[:200], "a.png"))
        assert (status, refused["error"]["code"]) == (400, "invalid_image")  # type: ignore[index]  # likewise
        quote = await house.call(
            "POST",
            "/v1/images/quote",
            body={
                "model": "gpt-image-2",
                "prompt": "a red hat",
                "images": [{"image_url": f"data:image/png;base64,{base64.b64encode(PNG).decode()}"}],
            },
        )
        assert quote.status == 200, quote.body
    assert kept(tmp_path) == []


async def test_an_equal_form_is_answered_with_the_first_ones_task(sqlite_database: str, tmp_path: Path) -> None:
    """With the key of the first call; another picture under it is a conflict."""
    config = write_config(tmp_path, sqlite_database, SANDBOX)
    async with serving(config, {}) as house:
        tasks = []
        for content in (PNG, PNG, JPEG):
            data = aiohttp.FormData({"model": "gpt-image-2", "prompt": "a red hat"})
            data.add_field("image", content, filename="a.png")
            headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": "order 7"}
            async with house.http.post(house.origin + "/v1/images/edits", data=data, headers=headers) as answer:
                tasks.append((answer.status, answer.headers.get("X-Task-Id")))
        assert tasks[0] == tasks[1]
        assert tasks[0][0] == 200
        assert tasks[2][0] == 409
