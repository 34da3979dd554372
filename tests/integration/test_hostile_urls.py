"""Hostile URLs of every family through a whole gateway, in every field that takes one: none reaches anything inside, each is refused by its field;
honest ones that look like them are fetched."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp.abc import ResolveResult

from gateway.egress import guard
from tests.emulated_internet import HERE, Answers, Internet, own
from tests.hostile_urls import HONEST, HOSTILE
from tests.integration.gateway_app import (
    OTHER_KEY,
    PROMPT,
    Answer,
    House,
    Settings,
    dict_of,
    serving,
    write_config,
)
from tests.proofs import Proof
from tests.uploads import picture

TITLE = "Hostile URLs"
PNG = picture(mode="RGBA")
SANDBOX: dict[str, Settings] = {"sandbox": {"kind": "sandbox", "latency": "1ms"}}
AT_ONCE = 32
IN_TASKS = (1, 2)
"""Ways that look a name up twice: when the call is checked, and when its task fetches."""
FIRST, SECOND, SIX = "93.184.216.34", "93.184.216.35", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"
FRONT = "front.shop"
"""A public host that redirects."""

INSIDE: dict[str, Sequence[str]] = {
    "loopback": ["127.0.0.1"],
    "loopback-6": ["::1"],
    "private-10": ["10.0.0.5"],
    "private-172": ["172.20.0.5"],
    "private-192": ["192.168.1.5"],
    "unique-local": ["fd12:3456::1"],
    "link-local": ["169.254.7.7"],
    "link-local-6": ["fe80::1%1"],
    "metadata": ["169.254.169.254"],
    "metadata-azure": ["168.63.129.16"],
    "metadata-alibaba": ["100.100.100.200"],
    "metadata-6": ["fd00:ec2::254"],
    "unspecified": ["0.0.0.0"],
    "unspecified-6": ["::"],
    "cgnat": ["100.64.0.1"],
    "multicast": ["224.0.0.251"],
    "broadcast": ["255.255.255.255"],
    "benchmark": ["198.18.0.1"],
    "documentation": ["203.0.113.1"],
    "mapped": ["::ffff:127.0.0.1"],
    "compatible": ["::127.0.0.1"],
    "nat64": ["64:ff9b::7f00:1"],
    "six-to-four": ["2002:7f00:1::1"],
    "teredo": ["2001:0:7f00:1::1"],
    "isatap": ["2606:4700::5efe:7f00:1"],
    "mixed-first": ["10.0.0.5", FIRST],
    "mixed-last": [FIRST, "10.0.0.5"],
    "mixed-families": [FIRST, "::1"],
    "mixed-metadata": [FIRST, SECOND, SIX, "169.254.169.254"],
    "nobody": [],
}
"""What a name in the public tree resolves to."""
REBOUND: dict[str, Answers] = {
    f"{name}.rebound.shop": [[FIRST], row]
    for name, row in INSIDE.items()
    if name in ("loopback", "private-10", "metadata", "mapped", "mixed-last", "mixed-families", "nobody")
}
"""Public when the call is checked, not any more when its task fetches."""

SAME_HOST = (
    "/etc/passwd", "//img.shop/a.png", "img.shop/a.png", "https:/img.shop/a.png", "https:img.shop", "https:///a.png", "https://?a",
    "https:///127.0.0.1/", "https:////127.0.0.1/",
)  # fmt: skip
"""As a redirect's place they are relative, or another public host's: RFC 3986, 5.3."""
FURTHER = [f"https://{name}.inside.shop/a.png" for name in INSIDE] + [
    "http://other.shop/a.png", "https://other.shop:8443/a.png", "https://user:password@other.shop/a.png", "//127.0.0.1/", "//localhost/",
    "//user@other.shop/", "data:image/png;base64,iVBORw0KGgo=", "https://" + "a" * 2048 + ".shop/",
]  # fmt: skip


def the_internet() -> Internet:
    names: dict[str, Answers] = {host: [[FIRST]] for _, host, _ in HONEST if ":" not in host and host != "8.8.8.8"}
    names |= {"turns.rebound.shop": [[FIRST], [FIRST], list(HERE)], FRONT: [[FIRST]], "other.shop": [[SECOND, SIX]]}
    names |= {f"{name}.inside.shop": [row] for name, row in INSIDE.items()} | REBOUND
    literals = {host for _, host, _ in HONEST if ":" in host or host == "8.8.8.8"}
    return Internet(PNG, frozenset({FIRST, SECOND, SIX} | literals), names)


@asynccontextmanager
async def studio(database: str, folder: Path, internet: Internet, **egress: object) -> AsyncIterator[House]:
    """A gateway that trusts the internet's certificates, and sees it."""
    async with internet.up(folder) as ca_file:
        config = write_config(folder, database, SANDBOX, egress={"ca_file": ca_file, **egress})
        async with serving(config, {}) as house:
            with internet.led():
                yield house


async def post(house: House, path: str, **body: object) -> Answer:
    with own():
        return await house.call("POST", path, body={"prompt": PROMPT, **body})


async def uploaded(house: House) -> str:
    """A file's id, of this key."""
    with own():
        answer = await house.call("POST", "/api/v1/files/upload/url", body={"file_url": f"https://{FRONT}/a.png"})
    assert answer.status == 200, answer.body
    return str(dict_of(answer.json, "data")["file_id"])


async def in_fields(house: House, url: str, file_id: str, number: int) -> list[tuple[str, Answer]]:
    """The answers, with the name of the field that the URL was in: a task's picture, an edit's, and one of the others in turn."""
    task, edits, mask = "/v1/images/generations", "/v1/images/edits", {"image_url": url}
    told = [
        ("image_urls[0]", await post(house, task, model="gpt-4o-image", image_urls=[url])),
        ("images[0]", await post(house, edits, model="gpt-image-2", images=[{"image_url": url}])),
    ]
    match number % 4:
        case 0:
            answer = await post(house, task, model="gpt-4o-image", image_urls=[file_id, url])
            told.append(("image_urls[1]", answer))
        case 1:
            answer = await post(house, task, model="gpt-4o-image", image_urls=[file_id], mask_url=url)
            told.append(("mask_url", answer))
        case 2:
            answer = await post(house, edits, model="gpt-image-2", images=[{"file_id": file_id}], mask=mask)
            told.append(("mask", answer))
        case _:
            told.append(("file_url", await post(house, "/api/v1/files/upload/url", file_url=url)))
    return told


async def side_by_side(urls: Sequence[str], house: House, file_id: str) -> dict[str, list[tuple[str, Answer]]]:
    places = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, url: str) -> list[tuple[str, Answer]]:
        async with places:
            return await in_fields(house, url, file_id, number)

    return dict(zip(urls, await asyncio.gather(*(one(*item) for item in enumerate(urls))), strict=True))


def assert_refused(answers: dict[str, list[tuple[str, Answer]]]) -> int:
    """By the field's name, in a text that begins with it; gives how many."""
    for url, told in answers.items():
        for field, answer in told:
            assert (answer.status, answer.error["param"]) == (400, field), (url, answer.body)
            assert str(answer.error["message"]).startswith(f"{field}: "), (url, answer.body)
    return sum(len(told) for told in answers.values())


async def test_hostile_urls_are_refused_by_their_field(sqlite_database: str, tmp_path: Path, proof: Proof) -> None:
    """Every family, in every field: refused at once, without a look-up where the text is enough, and the canary hears nothing."""
    internet = the_internet()
    async with studio(sqlite_database, tmp_path, internet) as house:
        file_id = await uploaded(house)
        before = len(internet.served)
        refused = assert_refused(await side_by_side(HOSTILE, house, file_id))
        assert set(internet.asked) == {FRONT}, "the text of a hostile URL is enough"
        names = [f"https://{name}.inside.shop/a.png" for name in INSIDE]
        refused += assert_refused(await side_by_side(names, house, file_id))
        assert len(internet.served) == before
        assert (internet.dialled, internet.canary_bytes) == ([], 0)
    proof(TITLE, f"{len(HOSTILE)} texts and {len(INSIDE)} names: {refused} calls refused, the canary got 0 bytes")


async def fetched(house: House, url: str, way: int) -> tuple[str, str]:
    """How a URL ended that seemed good at first: a state or code, and the text. As an upload, in a task that is polled, in an edit."""
    match way:
        case 0:
            answer = await post(house, "/api/v1/files/upload/url", file_url=url)
            done = answer.status == 200
            assert done or answer.error["param"] == "file_url", answer.body
            return ("completed", "") if done else (str(answer.error["code"]), str(answer.error["message"]))
        case 1:
            answer = await post(house, "/v1/images/generations", model="gpt-4o-image", image_urls=[url])
            if answer.status != 200:
                return str(answer.error["code"]), str(answer.error["message"])
            with own():
                task = await house.ended(answer.text("id"))
            if task["status"] == "completed":
                return "completed", ""
            error = dict_of(task, "error")
            return str(error["code"]), str(error["message"])
        case _:
            answer = await post(house, "/v1/images/edits", model="gpt-image-2", images=[{"image_url": url}])
            if answer.status == 200:
                return "completed", ""
            return str(answer.error["code"]), str(answer.error["message"])


async def all_fetched(house: House, urls: Sequence[str], ways: Sequence[int] = (0, 1, 2)) -> dict[str, tuple[str, str]]:
    """In each way in turn."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, url: str) -> tuple[str, str]:
        async with places:
            return await fetched(house, url, ways[number % len(ways)])

    return dict(zip(urls, await asyncio.gather(*(one(*item) for item in enumerate(urls))), strict=True))


def path_of(url: str) -> str:
    """As it is asked for: with its query, without its fragment."""
    path = re.sub(r"(?i)^https://[^/?#]*", "", url).partition("#")[0]
    return path if path.startswith("/") else f"/{path}"


async def test_what_turns_hostile_inside_a_task_ends_it(sqlite_database: str, tmp_path: Path, proof: Proof) -> None:
    """Redirects to every family, by chains that are too long, and names that mean something else by then: each fails, unpaid, by the picture's
    name, and reaches nothing; short chains over public hosts are followed."""
    internet = the_internet()
    locations = [*HOSTILE[::3], *FURTHER]
    away = {f"/{number}": url for number, url in enumerate(locations) if not re.search(r"[\r\n\0]", url)}
    away = {path: url for path, url in away.items() if url not in SAME_HOST}
    chain = {"/3": "2", "/2": "https://other.shop/1?a=%2F", "/4": f"https://{FRONT}/chain/3"}
    internet.redirects |= {(FRONT, path): url for path, url in away.items()}
    internet.redirects |= {(FRONT, f"/chain{path}"): url for path, url in chain.items()}
    internet.redirects |= {("other.shop", "/1?a=%2F"): f"https://{FRONT}/a.png", ("turns.rebound.shop", "/a"): "/b"}
    hostile = [f"https://{FRONT}{path}" for path in away]
    hostile.append(f"https://{FRONT}/chain/4")
    changing = [f"https://{name}/a.png" for name in REBOUND] + ["https://turns.rebound.shop/a"]
    async with studio(sqlite_database, tmp_path, internet) as house:
        ends = await all_fetched(house, hostile) | await all_fetched(house, changing, IN_TASKS)
        for url, (code, text) in ends.items():
            assert code in ("image_processing_error", "invalid_parameter", "invalid_image"), (url, code, text)
            assert re.match("(The reference picture 1|file_url): The URL could not be fetched", text), (url, text)
        assert ("turns.rebound.shop", "/b") not in internet.served
        honest = [url for url, _, _ in HONEST] + [f"https://{FRONT}/chain/3", "https://other.shop/a.png"]
        before = len(internet.served)
        done = await all_fetched(house, honest)
        assert set(done.values()) == {("completed", "")}, done
        seen = internet.served[before:]
        for url, host, _ in HONEST:
            assert (host, path_of(url)) in seen, url
        hops = [path for _, path in seen if path in ("/chain/3", "/chain/2", "/1?a=%2F")]
        assert hops == ["/chain/3", "/chain/2", "/1?a=%2F"]
        assert (internet.dialled, internet.canary_bytes) == ([], 0)
    proof(
        TITLE,
        f"{len(ends)} redirects and names that changed: all refused, the canary got 0 bytes; {len(honest)} look-alikes fetched",
    )


async def test_links_of_this_gateway_open_nothing_that_is_not_the_callers(sqlite_database: str, tmp_path: Path) -> None:
    """Its own address is inside as well: files of another key, made-up results and every other route of its own are refused by the field."""
    internet = the_internet()
    async with studio(sqlite_database, tmp_path, internet) as house:
        file_id = await uploaded(house)
        theirs = [f"/v1/files/{file_id}/content", f"/v1/files/{file_id}/content?a=b"]
        others = [
            "/v1/results/a.b/x.png", "/v1/results/../files/x", f"/v1/files/{file_id}", f"/v1/files/{file_id}/content/", "/healthz",
            "/metrics", "/v1/tasks", f"/v1/files/../files/{file_id}/content", "//127.0.0.1/", "/v1/results/a%2Fb/c.png",
        ]  # fmt: skip
        for path in (*theirs, *others):
            with own():
                answer = await house.call(
                    "POST",
                    "/v1/images/generations",
                    key=OTHER_KEY,
                    body={"model": "gpt-4o-image", "prompt": PROMPT, "image_urls": [house.origin + path]},
                )
            wanted = 404 if path in theirs else 400
            assert (answer.status, answer.error["param"]) == (wanted, "image_urls[0]"), (path, answer.body)
        assert (internet.dialled, internet.canary_bytes) == ([], 0)


async def test_each_lock_holds_where_those_before_it_are_open(
    sqlite_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: Proof
) -> None:
    """Where http and many ports are open, names and addresses alone decide. With the first lock open the second holds, with both the third; with all
    three open the canary hears of nearly every one, so that it would have heard before."""
    internet = the_internet()
    hosts = {
        match[1]: None for url in HOSTILE if (match := re.fullmatch(r"https://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)/", url))
    }
    urls = [f"http://{host}:8080/a.png" for host in hosts if host != "img.shop"]
    async with studio(sqlite_database, tmp_path, internet, allow_http=True, ports=[80, 443, 8080]) as house:
        file_id = await uploaded(house)
        assert_refused(await side_by_side(urls, house, file_id))
        monkeypatch.setattr(guard, "_check_host", lambda host, policy: None)
        some = urls[::3]
        assert_refused(await side_by_side(some, house, file_id))
        monkeypatch.setattr(guard.Guard, "resolve", _any_address)
        third = await all_fetched(house, some)
        assert "completed" not in {code for code, _ in third.values()}
        assert (internet.dialled, internet.canary_bytes) == ([], 0)
        monkeypatch.setattr(guard.Guard, "_may_dial", lambda *_: True)
        await all_fetched(house, some)
        assert len(internet.dialled) >= 0.8 * len(some)
        assert internet.canary_bytes > 20 * len(some)
    proof(
        TITLE,
        f"{len(urls)} hosts at an open port: 0 bytes with one lock open, and with two; with all three open {internet.canary_bytes}",
    )


async def _any_address(self: guard.Guard, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
    return await self._resolver.resolve(host, port, socket.AddressFamily(family))
