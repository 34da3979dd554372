"""Signing in to the console over HTTP, on both databases: two halves of a session, their ends, and who may use a browser's cookie."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from http.cookies import SimpleCookie
from pathlib import Path

import pytest

from gateway.api.schemas.console import SessionAnswer
from gateway.domain.clock import SystemClock
from tests.integration.gateway_app import KEY, OTHER_KEY, Answer, House, Settings, list_of, serving, write_config

ADMIN = "an admin token of the config"
SANDBOX: dict[str, Settings] = {"sandbox": {"kind": "sandbox"}}
PLAIN, SECURE = "igw_session", "__Host-igw_session"
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
SESSION = "/console/api/session"


class ShiftedClock(SystemClock):
    """The machine's clock, some time on."""

    shift_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.shift_ms

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.shift_ms / 1000


@dataclass
class Browser:
    """Keeps the cookie and the session's token, and sends them as a page of the console does."""

    house: House
    name: str = PLAIN
    cookie: str = ""
    csrf: str = ""
    origin: str = ""
    more: dict[str, str] = field(default_factory=dict)
    set_cookie: str = ""

    async def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str | None] | None = None
    ) -> Answer:
        """`headers`: besides, in place of (None: without) those of a browser."""
        sent: dict[str, str | None] = {"Sec-Fetch-Site": "same-origin", **self.more}
        if self.cookie:
            sent["Cookie"] = f"theme=dark; {self.name}={self.cookie}"
        if method not in ("GET", "HEAD"):
            sent |= {"Origin": self.origin or self.house.origin, "X-CSRF-Token": self.csrf or None}
        sent |= headers or {}
        given = {name: value for name, value in sent.items() if value is not None}
        answer = await self.house.call(method, path, key=None, headers=given, body=body)
        self.set_cookie = answer.headers.get("Set-Cookie", "")
        if self.set_cookie:
            morsel = SimpleCookie(self.set_cookie)[self.name]
            self.cookie = morsel.value
            if self.cookie:
                self.house.leaks.secret("a session's cookie", self.cookie)
                # It is shown in the header alone, which was searched before it was known.
        if path.startswith(SESSION) and answer.status == 200:
            assert SessionAnswer.model_validate(answer.json).model_dump(mode="json") == answer.json
            assert answer.headers["Cache-Control"] == "no-store"
            self.csrf = str(answer.json["csrf"] or "")
        return answer

    async def sign_in(self, secret: str) -> Answer:
        return await self.ask("POST", SESSION, {"secret": secret})

    async def who(self) -> tuple[str | None, str | None]:
        """The names of the administrator and of the key."""
        session = (await self.ask("GET", SESSION)).json
        names = [
            half["name"] if isinstance(half, dict) else None for half in (session["administrator"], session["key"])
        ]
        assert (
            session["signed_in"]
            == any(names)
            == (session["csrf"] is not None)
            == (session["expires_at_ms"] is not None)
        )
        return names[0], names[1]

    async def statuses(self) -> tuple[int, int]:
        """Of an administrator's route, and of a caller's."""
        return (await self.ask("GET", "/admin/v1/keys")).status, (await self.ask("GET", "/v1/models")).status


@pytest.fixture
def clock() -> ShiftedClock:
    return ShiftedClock()


@pytest.fixture
async def house(tmp_path: Path, database_url: str, clock: ShiftedClock) -> AsyncIterator[House]:
    config = write_config(tmp_path, database_url, SANDBOX, admin_token=ADMIN)
    async with serving(config, {}, clock=clock) as served:
        yield served


@pytest.fixture
async def embedded(tmp_path: Path, sqlite_database: str, clock: ShiftedClock) -> AsyncIterator[House]:
    """For what is decided before any database is asked."""
    config = write_config(tmp_path, sqlite_database, SANDBOX, admin_token=ADMIN)
    async with serving(config, {}, clock=clock) as served:
        yield served


async def test_both_halves_from_sign_in_to_sign_out(house: House) -> None:
    """Each by itself, together, and one after the other gone; every sign-in makes another id, and the one before is nothing any more."""
    browser = Browser(house)
    assert await browser.who() == (None, None)
    assert await browser.statuses() == (401, 401)
    signed_in = await browser.sign_in(KEY)
    assert signed_in.json["key"] == {
        "id": "declared:key:acme/design/ci", "name": "ci", "org": "acme", "team": "design", "display": KEY[:4],
    }  # fmt: skip
    assert (signed_in.json["administrator"], signed_in.json["public_url"]) == (None, house.config.server.public_url)
    attributes = {part.strip() for part in browser.set_cookie.split(";")[1:]}
    assert attributes == {"HttpOnly", "Path=/", "SameSite=Strict"}
    assert await browser.statuses() == (401, 200)
    alone = replace(browser)

    assert (await browser.sign_in(ADMIN)).status == 200
    assert browser.cookie != alone.cookie
    assert browser.csrf != alone.csrf
    assert await browser.who() == ("token:config", "ci")
    assert await browser.statuses() == (200, 200)
    assert await alone.who() == (None, None)
    assert await alone.statuses() == (401, 401)

    assert (await browser.sign_in(OTHER_KEY)).json["key"] != signed_in.json["key"]
    assert await browser.who() == ("token:config", "other")
    left = await browser.ask("DELETE", f"{SESSION}?part=administrator")
    assert (left.json["administrator"], left.json["signed_in"]) == (None, True)
    assert await browser.statuses() == (401, 200)
    kept = replace(browser)
    gone = await browser.ask("DELETE", SESSION)
    assert (gone.json["signed_in"], browser.cookie) == (False, "")
    assert "Max-Age=0" in browser.set_cookie
    assert await kept.statuses() == (401, 401)
    assert (await browser.ask("DELETE", SESSION)).json["signed_in"] is False

    log = await house.get("/admin/v1/audit-log?limit=10", key=ADMIN)
    lines = [(line["actor"], line["action"], line["subject"], line["details"]) for line in list_of(log.json, "data")]
    from_here = {"address": "127.0.0.1"}
    assert lines[:2] == [
        ("token:config", "session.sign_out", "config", from_here),
        ("token:config", "session.sign_in", "config", from_here),
    ]


async def test_a_call_with_a_session_is_as_one_with_the_key(house: House) -> None:
    """A picture is made and charged to the key; the log says that it was a session's, and neither cookie nor token."""
    browser = Browser(house)
    await browser.sign_in(KEY)
    body = {"model": "gpt-image-2", "prompt": "a red fox in fresh snow", "size": "1024x1024"}
    made = await browser.ask("POST", "/v1/images/generations", body, {"Prefer": "respond-async"})
    assert made.status == 202
    await house.ended(made.text("id"))
    assert made.headers["Cache-Control"] == "no-store"
    lines = house.log_lines()
    [line] = [line for line in lines.splitlines() if b'"/v1/images/generations"' in line]
    assert b'"session":true' in line
    assert b'"key":"ci"' in line
    assert browser.csrf.encode() not in lines


async def test_what_a_page_of_another_site_sends_is_refused(embedded: House) -> None:
    """By the missing token, by its origin, by what the browser says of it; nothing is done, and a header with a key needs none of it."""
    browser = Browser(embedded)
    await browser.sign_in(ADMIN)
    key = {"org": "acme", "name": "made"}
    for headers in (
        {"X-CSRF-Token": None},
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "0" * 64},
        {"X-CSRF-Token": "\xff" * 64},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": embedded.origin + "0"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ):
        refused = await browser.ask("POST", "/admin/v1/keys", key, headers)
        assert (refused.status, refused.error["code"]) == (403, "csrf"), headers
        assert (await browser.ask("DELETE", SESSION, None, headers)).status == 403, headers
    for site in ("cross-site", "same-site"):
        foreign = {"Sec-Fetch-Site": site}
        assert (await browser.ask("GET", "/admin/v1/keys", None, foreign)).error["code"] == "csrf"
        assert (await browser.ask("GET", SESSION, None, foreign)).json["signed_in"] is False
    await browser.who()
    for harmless in ({"Sec-Fetch-Site": "none"}, {"Sec-Fetch-Site": None}, {"Origin": embedded.origin}):
        assert (await browser.ask("GET", "/admin/v1/keys", None, harmless)).status == 200
    assert (await browser.ask("POST", "/admin/v1/keys", key, {"Sec-Fetch-Site": None, "Origin": None})).status == 201
    foreign_sign_in = await Browser(embedded).ask("POST", SESSION, {"secret": KEY}, {"Sec-Fetch-Site": "cross-site"})
    assert (foreign_sign_in.status, foreign_sign_in.error["code"]) == (403, "csrf")
    plain_form = await Browser(embedded).ask("POST", SESSION, {"secret": KEY}, {"Content-Type": "text/plain"})
    assert plain_form.status == 400


async def test_a_header_wins_over_the_cookie(embedded: House) -> None:
    """Also a wrong one: nobody is let in by a cookie that sent a key, and none needs a token."""
    browser = Browser(embedded)
    await browser.sign_in(KEY)
    await browser.sign_in(ADMIN)
    wrong = {"Authorization": "Bearer nobody's"}
    assert (await browser.ask("GET", "/v1/models", None, wrong)).status == 401
    assert (await browser.ask("GET", "/admin/v1/keys", None, wrong)).status == 401
    assert (await browser.ask("GET", "/v1/models", None, {"api-key": "nobody's"})).status == 401
    by_header = {"Authorization": f"Bearer {ADMIN}", "X-CSRF-Token": None, "Origin": "https://evil.example"}
    made = await browser.ask("POST", "/admin/v1/keys", {"org": "acme", "name": "made"}, by_header)
    assert made.status == 201
    assert b'"session":true' not in embedded.log_lines().splitlines()[-1]


HOSTILE_COOKIES = (
    "igw_session=", "igw_session", "igw_session=x", f"igw_session={'A' * 43}", f"igw_session={'A' * 5000}", "igw_session=%00; a=b", ";;=;",
    "igw_session='; DROP TABLE sessions --", f"__Host-igw_session={'A' * 43}", "igw_session=\xff\xfe", f'igw_session="{"A" * 43}"',
)  # fmt: skip


async def test_hostile_cookies_are_nobodys(embedded: House) -> None:
    """Neither let in, nor a fault; and signing in goes on working beside them. Two of one name are none: another host of the domain set one."""
    browser, planted = Browser(embedded), Browser(embedded)
    for cookie in HOSTILE_COOKIES:
        headers = {"Cookie": cookie}
        assert (await browser.ask("GET", "/v1/models", None, headers)).status == 401, cookie
        assert (await browser.ask("GET", SESSION, None, headers)).json["signed_in"] is False, cookie
        assert (await browser.ask("DELETE", SESSION, None, headers)).status == 200, cookie
        assert (await browser.ask("POST", SESSION, {"secret": KEY}, headers)).json["signed_in"] is True, cookie
    await planted.sign_in(OTHER_KEY)
    assert await browser.statuses() == (401, 200)
    both = {"Cookie": f"{PLAIN}={planted.cookie}; {PLAIN}={browser.cookie}"}
    assert (await browser.ask("GET", "/v1/models", None, both)).status == 401


async def test_what_is_revoked_rotated_or_expired_ends_its_half_at_once(house: House) -> None:
    """The other half goes on; a session that nobody is left in is none, and a new one can be begun without its token."""
    browser = Browser(house)
    made = await house.call("POST", "/admin/v1/keys", key=ADMIN, body={"org": "acme", "name": "site"})
    token = await house.call(
        "POST", "/admin/v1/tokens", key=ADMIN, body={"name": "t", "scopes": ["read"], "org": "acme"}
    )
    await browser.sign_in(made.text("secret"))
    await browser.sign_in(token.text("secret"))
    assert await browser.who() == ("token:acme/t", "site")
    assert (await browser.ask("POST", "/admin/v1/keys", {"org": "acme", "name": "x"})).error["code"] == "scope_missing"
    assert {key["org"] for key in list_of((await browser.ask("GET", "/admin/v1/keys")).json, "data")} == {"acme"}

    path = f"/admin/v1/keys/{made.text('id')}"
    rotated = await house.call("POST", f"{path}/rotate", key=ADMIN, body={"overlap_s": 0})
    assert await browser.statuses() == (200, 401)
    await browser.who()
    await browser.sign_in(rotated.text("secret"))
    assert await browser.statuses() == (200, 200)
    await house.call("PATCH", path, key=ADMIN, body={"expires_at_ms": 1})
    assert (await browser.ask("GET", "/v1/models")).error["code"] == "key_expired"
    assert await browser.who() == ("token:acme/t", None)
    await house.call("POST", f"/admin/v1/tokens/{token.text('id')}/revoke", key=ADMIN)
    assert await browser.statuses() == (401, 401)
    assert await browser.who() == (None, None)
    assert browser.csrf == ""
    assert (await browser.sign_in(KEY)).json["signed_in"] is True


async def test_a_session_ends_when_it_is_idle_and_at_its_absolute_end(house: House, clock: ShiftedClock) -> None:
    """8 hours without a request; with one every few hours after 7 days, also where somebody signed in besides."""
    idle, used = Browser(house), Browser(house)
    for browser in (idle, used):
        await browser.sign_in(KEY)
    clock.shift_ms += 8 * HOUR_MS - 60_000
    assert await used.statuses() == (401, 200)
    assert await idle.who() == (None, "ci"), "asking who is signed in is no use"
    clock.shift_ms += 61_000
    assert (await idle.statuses(), await used.statuses()) == ((401, 401), (401, 200))
    while clock.shift_ms < 7 * DAY_MS - 8 * HOUR_MS:
        clock.shift_ms += 7 * HOUR_MS
        assert await used.statuses() == (401, 200)
    await used.who()
    await used.sign_in(ADMIN)
    assert await used.statuses() == (200, 200)
    clock.shift_ms = 7 * DAY_MS + 1000
    assert await used.statuses() == (401, 401)


async def test_failed_sign_ins_are_counted_by_address(embedded: House, clock: ShiftedClock) -> None:
    """After ten the right secret is not looked at either, until five minutes have passed; the log knows from where, and never what was tried."""
    browser = Browser(embedded)
    for number in range(10):
        refused = await browser.sign_in(f"a wrong secret {number}")
        assert (refused.status, refused.error["type"]) == (401, "authentication_error")
    blocked = await browser.sign_in(KEY)
    assert (blocked.status, blocked.error["code"]) == (429, "rate_limit_exceeded")
    assert 1 <= int(blocked.headers["Retry-After"]) <= 59
    # No proxy is trusted: whatever it says of itself.
    assert (await browser.ask("POST", SESSION, {"secret": KEY}, {"X-Forwarded-For": "10.9.8.7"})).status == 429
    lines = embedded.log_lines()
    assert lines.count(b"a sign-in to the console failed") == 10
    assert b"a wrong secret" not in lines
    assert b'"address":"127.0.0.1"' in lines
    clock.shift_ms += 300_000
    assert (await browser.sign_in(KEY)).status == 200


async def test_bodies_at_fault_name_their_field(embedded: House) -> None:
    """And do not repeat what was sent."""
    browser = Browser(embedded)
    for body, param in (
        ({}, "secret"),
        ({"secret": ""}, "secret"),
        ({"secret": "x" * 513}, "secret"),
        ({"secret": KEY, "as": 1}, "as"),
    ):
        refused = await browser.ask("POST", SESSION, body)
        assert (refused.status, refused.error["param"]) == (400, param)
    assert (await browser.ask("DELETE", f"{SESSION}?part=all")).error["param"] == "part"


async def test_over_tls_the_cookie_is_bound_to_host_and_tls(tmp_path: Path, sqlite_database: str) -> None:
    """By public_url: `__Host-` and Secure always, and the plain name is nothing. Pages may come from either name of ours, over TLS alone."""
    server = {"host": "127.0.0.1", "port": 0, "drain": "5s", "public_url": "https://images.example.com"}
    config = write_config(tmp_path, sqlite_database, SANDBOX, admin_token=ADMIN, server=server)
    async with serving(config, {}) as house:
        browser = Browser(house, SECURE, origin="https://images.example.com")
        assert (await browser.sign_in(KEY)).status == 200
        assert {part.strip() for part in browser.set_cookie.split(";")[1:]} == {
            "HttpOnly",
            "Path=/",
            "SameSite=Strict",
            "Secure",
        }
        assert await browser.statuses() == (401, 200)
        assert await replace(browser, name=PLAIN).statuses() == (401, 401)
        for origin, status in (
            ("https://images.example.com", 200),
            (house.origin.replace("http:", "https:"), 200),
            ("http://images.example.com", 403),
            (house.origin, 403),
            ("https://images.example.com.evil.example", 403),
            ("https://images.example.com:444", 403),
            ("https://[", 403),
        ):
            answer = await browser.ask("POST", "/v1/images/quote", {"prompt": "a fox"}, {"Origin": origin})
            assert answer.status == status, origin
        assert (await browser.ask("DELETE", SESSION)).status == 200
        assert {"Secure", "Max-Age=0"} <= {part.strip() for part in browser.set_cookie.split(";")[1:]}


async def test_a_trusted_proxy_says_what_is_tls_and_who_failed(tmp_path: Path, sqlite_database: str) -> None:
    """Both ways in of one gateway: each has a cookie of its own. Without trust the same headers mean nothing, as the other tests show."""
    server = {"host": "127.0.0.1", "port": 0, "drain": "5s", "trusted_proxies": ["127.0.0.0/8"]}
    async with serving(write_config(tmp_path, sqlite_database, SANDBOX, server=server), {}) as house:
        tls = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
        browser = Browser(house, SECURE, origin=house.origin.replace("http:", "https:"), more=tls)
        plain = Browser(house, more={"X-Forwarded-Proto": "http", "X-Forwarded-For": "203.0.113.10"})
        for each in (browser, plain):
            await each.sign_in(KEY)
            assert ("Secure" in each.set_cookie) is (each is browser)
            assert await each.statuses() == (401, 200)
        for _ in range(10):
            await browser.sign_in("wrong")
        assert ((await browser.sign_in(KEY)).status, (await plain.sign_in(KEY)).status) == (429, 200)
        assert house.log_lines().count(b'"address":"203.0.113.9"') == 10
