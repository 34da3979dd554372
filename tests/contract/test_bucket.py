"""What a bucket adds to a store's promises: parts, labels, links of its own, leftovers, memory; and what becomes of it when the service fails."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.blobs.bucket import PART_BYTES, BucketBlobStore
from gateway.blobs.bucket_url import BucketPlace, Cloud
from gateway.blobs.clouds import Patience
from gateway.blobs.store import BlobStoreRefused, BlobStoreUnavailable, BlobTooLarge
from tests.buckets import ACCESS_KEY, SECRET_KEY, S3Server
from tests.proofs import Proof

MIB = 1024 * 1024
SHORT = Patience(connect_s=0.5, read_s=0.3, retries_max=1, retry_s=0.5, pause_s=0.01, call_s=1.0, open_s=2.0)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def bucket(s3: S3Server) -> str:
    return s3.new_bucket()


@pytest.fixture
def store(s3: S3Server, bucket: str) -> BucketBlobStore:
    return BucketBlobStore(s3.place(bucket), Patience())


async def pieces_of(data: bytes, size: int = 300_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[BucketPlace]:
    """A bucket whose service is this function, one connection at a time."""
    writers: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            await answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield BucketPlace(
            Cloud.S3, "pictures", "", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "us-east-1"
        )
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0.01)  # handlers see it at the loop's next turn


def saying(status: str, code: str = "") -> Answer:
    """The same answer to everything."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = f"<Error><Code>{code}</Code><Secret>{SECRET_KEY}</Secret></Error>" if code else ""
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write((head + body).encode())
        await writer.drain()

    return answer


async def all_fail(store: BucketBlobStore) -> list[BlobStoreUnavailable]:
    """What each operation says, at once."""
    works: list[Awaitable[object]] = [
        store.put("att_1/0", PNG),
        store.put_all("att_1", [("0", PNG), ("1", PNG), ("manifest", b"{}")]),
        store.put_stream("file-1", pieces_of(PNG), bytes_max=100),
        store.put_stream("file-2", pieces_of(bytes(PART_BYTES + MIB)), bytes_max=PART_BYTES * 2),
        store.read("att_1/0"),
        store.read_range("att_1/0", 0, 5),
        store.size("att_1/0"),
        anext(store.chunks("att_1/0"), None),
        store.delete("att_1/0"),
        store.delete_prefix("att_1"),
        store.delete_all(["att_1", "att_2"]),
        store.list(),
        store.check(),
    ]
    told = await asyncio.gather(*works, return_exceptions=True)
    assert all(isinstance(each, BlobStoreUnavailable) for each in told), told
    return [each for each in told if isinstance(each, BlobStoreUnavailable)]


async def test_large_ones_go_in_parts(store: BucketBlobStore, s3: S3Server, bucket: str) -> None:
    """Above the size of a part, by `put` and by stream, the bytes are those that were put, and no upload is left open."""
    data = os.urandom(2 * PART_BYTES + 12_345)
    await store.put("att_1/0", data)
    assert await store.put_stream("file-1", pieces_of(data), bytes_max=len(data)) == len(data)
    assert await store.read("att_1/0") == data
    assert await store.read("file-1") == data
    assert await store.read_range("file-1", PART_BYTES - 5, 10) == data[PART_BYTES - 5 : PART_BYTES + 5]
    assert s3.uploads(bucket) == []


async def test_the_event_loop_is_not_held(store: BucketBlobStore, proof: Proof) -> None:
    """Sending and reading a large picture takes little of the loop's own time at once, however loaded the machine is."""
    held: list[float] = []

    async def watch() -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0.001)
            held.append(time.thread_time() - before)

    data = os.urandom(3 * PART_BYTES)
    watching = asyncio.create_task(watch())
    await store.put("att_1/0", data)
    assert await store.read("att_1/0") == data
    watching.cancel()
    proof("pictures in a bucket", f"24 MiB put and read: the loop worked {max(held) * 1000:.0f} ms at once")
    assert max(held) < 0.05


async def test_a_large_stream_that_fails_leaves_nothing(store: BucketBlobStore, s3: S3Server, bucket: str) -> None:
    """Too long, broken or cancelled in the middle of its parts: they are aborted, and what stood under the name still stands."""
    await store.put("file-1", b"before")
    begun = asyncio.Event()

    async def long(failure: Exception | None) -> AsyncIterator[bytes]:
        async for piece in pieces_of(bytes(2 * PART_BYTES + MIB)):
            yield piece
        begun.set()
        if failure is not None:
            raise failure
        await asyncio.Event().wait()

    with pytest.raises(BlobTooLarge):
        await store.put_stream("file-1", pieces_of(bytes(3 * PART_BYTES)), bytes_max=2 * PART_BYTES)
    with pytest.raises(ConnectionResetError):
        await store.put_stream("file-1", long(ConnectionResetError()), bytes_max=10 * PART_BYTES)
    begun.clear()
    storing = asyncio.create_task(store.put_stream("file-1", long(None), bytes_max=10 * PART_BYTES))
    await begun.wait()
    assert s3.uploads(bucket) == ["some/where/file-1"]
    storing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await storing
    assert s3.uploads(bucket) == []
    assert await store.read("file-1") == b"before"


async def test_objects_are_labelled_as_what_they_are(store: BucketBlobStore) -> None:
    """A plain client with the bucket's own link gets the picture under its type, and only while the link is valid."""
    heads = {
        "png": PNG,
        "jpg": b"\xff\xd8\xff\xe0" + bytes(9),
        "webp": b"RIFF\x00\x00\x00\x00WEBPVP8 ",
        "gif": b"GIF89a",
    }
    await store.put_all("att_1", [*heads.items(), ("manifest", b"{}")])
    await store.put_stream("att_2/0", pieces_of(PNG, 3), bytes_max=100)
    names = ["att_1/png", "att_1/jpg", "att_1/webp", "att_1/gif", "att_1/manifest", "att_2/0"]
    urls = await store.presigned(names, 60)
    async with aiohttp.ClientSession() as http:
        seen = []
        for url in urls:
            async with http.get(url) as answer:
                seen.append((answer.status, answer.content_type, len(await answer.read())))
    types = ["image/png", "image/jpeg", "image/webp", "image/gif", "application/octet-stream", "image/png"]
    assert [kind for _, kind, _ in seen] == types
    assert seen[0] == (200, "image/png", len(PNG))
    assert {urlsplit(url).path.rpartition("/")[2] for url in urls} == {name.rpartition("/")[2] for name in names}
    assert all("X-Amz-Expires=60" in url and SECRET_KEY not in url for url in urls)


async def test_a_probe_stays_beside_the_blobs(store: BucketBlobStore, s3: S3Server, bucket: str) -> None:
    """Everything is below the prefix, the check leaves nothing, and a deletion takes all there is of a delivery."""
    await store.check()
    assert s3.keys(bucket) == []
    await store.put_all("att_1", [("0", PNG), ("manifest", b"{}")])
    await store.put_all("att_2", [("0", PNG), ("manifest", b"{}")])
    assert s3.keys(bucket) == [f"some/where/att_{a}/{b}" for a in (1, 2) for b in ("0", "manifest")]
    await store.delete_all(["att_1", "att_2", "att_3"])
    assert s3.keys(bucket) == []


async def test_google_has_the_same_promises(s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its API for objects is that of S3 with tokens for signatures, and is spoken to here through its own client."""
    monkeypatch.setenv("GOOGLE_BEARER_TOKEN", "a token")
    store = await BucketBlobStore.open(BucketPlace(Cloud.GCS, bucket, "some/where", s3.endpoint))
    data = os.urandom(PART_BYTES + MIB)
    await store.put_all("att_1", [("0", PNG), ("1", data), ("manifest", b"{}")])
    assert await store.put_stream("file-1", pieces_of(data), bytes_max=len(data)) == len(data)
    assert (await store.read("att_1/1"), await store.read("file-1"), await store.read("att_1/2")) == (data, data, None)
    assert (await store.size("att_1/0"), await store.size("att_1/2")) == (len(PNG), None)
    assert (await store.read_range("att_1/0", 1, 3), await store.read_range("att_1/0", 99, 3)) == (b"PNG", b"")
    with pytest.raises(BlobTooLarge):
        await store.put_stream("file-2", pieces_of(data), bytes_max=len(data) - 1)
    assert s3.uploads(bucket) == []
    assert await store.list() == ("att_1/0", "att_1/1", "att_1/manifest", "file-1")
    await store.delete_all(["att_1", "att_2"])
    assert (await store.delete("file-1"), await store.delete("file-1")) == (True, False)
    assert s3.keys(bucket) == []
    s3.remove(bucket)
    with pytest.raises(BlobStoreRefused, match="there is no such bucket"):
        await store.read("att_1/0")


async def test_a_missing_bucket_is_not_an_absent_blob(s3: S3Server, bucket: str) -> None:
    """Where the bucket is gone every operation says so, and a start refuses."""
    store = await BucketBlobStore.open(s3.place(bucket))
    s3.remove(bucket)
    told = await all_fail(store)
    assert {str(each) for each in told} == {
        f"image store s3://{bucket}/some/where: there is no such bucket (404 NoSuchBucket); make it, or correct blobs in the config"
    }
    with pytest.raises(BlobStoreRefused):
        await BucketBlobStore.open(s3.place(bucket))


@pytest.mark.parametrize(
    ("status", "code", "cause", "final"),
    [
        ("403 Forbidden", "AccessDenied", "access is denied (403 AccessDenied); grant s3:GetObject", True),
        (
            "403 Forbidden",
            "InvalidAccessKeyId",
            "credentials are not accepted (403 InvalidAccessKeyId); set AWS_",
            True,
        ),
        ("403 Forbidden", "RequestTimeTooSkewed", "clock is wrong (403 RequestTimeTooSkewed); set it", True),
        ("400 Bad Request", "AuthorizationHeaderMalformed", "in another region (400 Auth", True),
        ("301 Moved", "PermanentRedirect", "in another region; write its s3_region", True),
        ("500 Internal Server Error", "InternalError", "reports an error (500 InternalError)", False),
        ("503 Slow Down", "SlowDown", "asked too often (503 SlowDown)", False),
    ],
)
@pytest.mark.usefixtures("s3")
async def test_an_answer_is_told_by_its_cause(status: str, code: str, cause: str, final: bool) -> None:
    """Class, cause and remedy, without a word of the answer itself; only what somebody must set right keeps a gateway from starting."""
    async with answering(saying(status, code)) as place:
        store = BucketBlobStore(place, SHORT)
        with pytest.raises(BlobStoreUnavailable) as seen:
            await store.put("att_1/0", PNG)
        assert cause in str(seen.value)
        assert isinstance(seen.value, BlobStoreRefused) is final
        assert seen.value.__cause__ is None
        assert seen.value.__suppress_context__
        if final:
            with pytest.raises(BlobStoreRefused):
                await BucketBlobStore.open(place, SHORT)
        else:
            await BucketBlobStore.open(place, SHORT)
            for each in await all_fail(store):
                assert SECRET_KEY not in str(each)
                assert ACCESS_KEY not in str(each)


@pytest.mark.usefixtures("s3")
async def test_a_service_that_hangs_is_given_up_in_time() -> None:
    """No operation waits longer than its patience, and the event loop goes on meanwhile."""
    gaps: list[float] = []

    async def watch() -> None:
        while True:
            at = time.perf_counter()
            await asyncio.sleep(0.005)
            gaps.append(time.perf_counter() - at)

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):
            pass

    async with answering(silent) as place:
        store = BucketBlobStore(place, SHORT)
        watching = asyncio.create_task(watch())
        began = time.monotonic()
        told = await all_fail(store)
        took_s = time.monotonic() - began
        watching.cancel()
    assert {str(each).partition(": ")[2] for each in told} == {
        "it does not answer in time; look at the service, or at the network to it"
    }
    assert took_s < 8
    assert len(gaps) > 20


@pytest.mark.usefixtures("s3")
async def test_a_port_that_nobody_listens_on_cannot_be_reached(bucket: str) -> None:
    """Told at once; a gateway starts all the same, and its readiness says why."""
    place = BucketPlace(Cloud.S3, bucket, "", "http://127.0.0.1:1", "us-east-1")
    store = await BucketBlobStore.open(place, SHORT)
    assert all("cannot be reached; look at s3_endpoint" in str(each) for each in await all_fail(store))


async def test_a_connection_cut_in_the_middle_of_parts(s3: S3Server, bucket: str) -> None:
    """The stream fails as the service does, nothing appears, and the parts are aborted once the service can be reached again."""
    target = urlsplit(s3.endpoint)
    cut = 0

    async def passing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal cut
        there, back = await asyncio.open_connection(target.hostname, target.port)

        async def answers() -> None:
            while piece := await there.read(65_536):
                writer.write(piece)

        answering = asyncio.create_task(answers())
        try:
            while piece := await reader.read(65_536):
                if b"partNumber=2" in piece:
                    cut += 1
                    return
                back.write(piece)
        finally:
            answering.cancel()
            back.transport.abort()

    async with answering(passing) as proxied:
        assert proxied.endpoint is not None
        store = BucketBlobStore(
            replace(s3.place(bucket), endpoint=proxied.endpoint), replace(SHORT, read_s=5, call_s=10)
        )
        data = os.urandom(3 * PART_BYTES)
        with pytest.raises(BlobStoreUnavailable):
            await store.put_stream("file-1", pieces_of(data), bytes_max=len(data))
        assert cut == 2, "the first try and its retry"
        assert await store.read("file-1") is None
    assert s3.uploads(bucket) == []


MEMORY_PROGRAM = """
import asyncio, os, re, sys
from dataclasses import replace
from gateway.blobs.bucket import BucketBlobStore
from gateway.blobs.bucket_url import parse_bucket_url
from gateway.blobs.clouds import Patience
MIB = 1024 * 1024

def memory(what):
    return int(re.search(what + r":\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 1024

async def grown(work):
    open("/proc/self/clear_refs", "w").write("5")  # the peak is counted anew
    before = memory("VmRSS")
    await work
    return memory("VmHWM") - before

async def stream():
    for number in range(160):
        yield bytes([number]) * MIB

async def read(store):
    for number in range(20):
        assert len(await store.read(f"att_1/{number}")) == 8 * MIB
    async for piece in store.chunks("file-1"):
        pass

async def main():
    place = replace(parse_bucket_url("s3://pictures"), endpoint=sys.argv[1], region="us-east-1")
    store = BucketBlobStore(place, Patience())
    await store.put("warm", b"x")
    streamed = await grown(store.put_stream("file-1", stream(), bytes_max=160 * MIB))
    reading = await grown(read(store))
    pictures = [(str(number), os.urandom(8 * MIB)) for number in range(20)]
    print(streamed, reading, await grown(store.put_all("att_1", [*pictures, ("manifest", b"{}")])))
asyncio.run(main())
"""


@asynccontextmanager
async def bottomless() -> AsyncIterator[str]:
    """The endpoint of a service that forgets what it is sent, and has 8 MiB under every name: a real one is slower than what is measured."""

    async def answer(request: web.Request) -> web.StreamResponse:
        async for _ in request.content.iter_any():
            pass
        if request.method == "GET":
            return web.Response(
                body=bytes(8 * MIB), headers={"ETag": '"1"', "Last-Modified": "Thu, 26 Nov 2026 08:00:00 GMT"}
            )
        if request.method == "POST":  # begins an upload, or completes it
            begun = "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
            ended = "<CompleteMultipartUploadResult><ETag>1</ETag></CompleteMultipartUploadResult>"
            return web.Response(text=begun if "uploads" in request.query else ended, content_type="application/xml")
        return web.Response(headers={"ETag": '"1"'})

    application = web.Application(client_max_size=0)
    application.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(application) as server:
        yield str(server.make_url("")).rstrip("/")


@pytest.mark.usefixtures("s3")
async def test_memory_is_bounded(proof: Proof) -> None:
    """Twenty pictures of 8 MiB are sent from where they lie; a stream of as many bytes takes a few parts; reading takes one picture at a time."""
    async with bottomless() as endpoint:
        command = [sys.executable, "-c", MEMORY_PROGRAM, endpoint]
        done = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
        )
    assert done.returncode == 0, done.stderr
    streamed, read, put = map(float, done.stdout.split())
    line = f"160 MiB: {streamed:.0f} MiB of memory for one stream, {read:.0f} MiB more to read 20 pictures, {put:.0f} MiB beside 20 to put them"
    proof("pictures in a bucket", line)
    assert streamed < 80
    assert 8 <= read < 40, "one picture, or nothing was measured"
    assert put < 40
