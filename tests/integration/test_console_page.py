"""The console's page and files over HTTP: its policy, its nonce, what browsers may keep, and that no name leads out of the build."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from yarl import URL

from gateway import app_console
from gateway.api.console_files import BuildRefused, read_console
from gateway.api.handlers.console import NOT_BUILT
from tests.integration.gateway_app import House, Settings, serving, write_config

pytestmark = pytest.mark.asyncio(loop_scope="module")
SANDBOX: dict[str, Settings] = {"sandbox": {"kind": "sandbox"}}
PAGE = (
    '<!doctype html><meta name="csp-nonce" content="__CSP_NONCE__"><style nonce="__CSP_NONCE__"></style>'
    '<script type="module" src="/console/assets/a-1b.js"></script>'
)
SECRET = "what lies beside the build"
HTML = {"Accept": "text/html,application/xhtml+xml"}


def build(folder: Path) -> Path:
    """A small console, and a secret beside it."""
    console = folder / "console"
    (console / "assets").mkdir(parents=True)
    (folder / "secret.txt").write_text(SECRET)
    (console / "index.html").write_text(PAGE)
    (console / "favicon.svg").write_text("<svg/>")
    (console / "assets/a-1b.js").write_text("plain script")
    (console / "assets/a-1b.js.br").write_bytes(b"brotli script")
    (console / "assets/a-1b.js.gz").write_bytes(b"gzip script")
    (console / "assets/only.css").write_text("plain style")
    (console / "assets/link.js").symlink_to(folder / "secret.txt")
    return console


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder: Path = tmp_path_factory.mktemp("page")
    config = write_config(folder, f"sqlite:///{folder}/gateway.db", SANDBOX)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app_console, "FOLDER", build(folder))
        async with serving(config, {}) as served:
            yield served


@pytest.mark.parametrize(
    "path",
    [
        "/console/",
        "/console/tasks",
        "/console/tasks/task-unified-1-a",
        "/console/models/gpt-image-1.5",
        "/console/index.html",
    ],
)
async def test_every_page_has_a_nonce_of_its_own_and_the_whole_policy(house: House, path: str) -> None:
    """Nothing is left of the placeholder; no two answers share a nonce; nobody keeps the page."""
    nonces = set()
    for _ in range(2):
        answer = await house.get(path, key=None, headers=HTML)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        policy = answer.headers["Content-Security-Policy"]
        [nonce] = set(re.findall(r"nonce-([A-Za-z0-9_-]{20,})'", policy))
        assert answer.body.decode() == PAGE.replace("__CSP_NONCE__", nonce)
        nonces.add(nonce)
        directives = dict(part.strip().partition(" ")[::2] for part in policy.split(";"))
        assert directives == {
            "default-src": "'none'", "script-src": "'self'", "style-src": f"'self' 'nonce-{nonce}'", "img-src": "'self' blob: data:",
            "font-src": "'self'", "connect-src": "'self'", "manifest-src": "'self'", "base-uri": "'none'", "form-action": "'self'",
            "frame-ancestors": "'none'",
        }  # fmt: skip
        assert {name: answer.headers[name] for name in ("Cache-Control", "X-Content-Type-Options", "Referrer-Policy")} == {
            "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
        }  # fmt: skip
        assert (
            answer.headers["Cross-Origin-Opener-Policy"]
            == answer.headers["Cross-Origin-Resource-Policy"]
            == "same-origin"
        )
        assert "camera=()" in answer.headers["Permissions-Policy"]
    assert len(nonces) == 2


async def test_files_come_as_the_browser_takes_them(house: House) -> None:
    """The best coding that it names and does not weigh with nought, each with a version; hashed ones for a year, others are asked for again."""
    path, bodies = "/console/assets/a-1b.js", {}
    for accepted, coding, body in (
        ("gzip, deflate, br", "br", b"brotli script"),
        ("gzip;q=1.0, br;q=0", "gzip", b"gzip script"),
        ("deflate", None, b"plain script"),
        ("br;q=0.0, gzip; q=0", None, b"plain script"),
    ):
        async with house.http.get(
            house.origin + path, headers={"Accept-Encoding": accepted}, auto_decompress=False
        ) as answer:
            assert (answer.headers.get("Content-Encoding"), await answer.read()) == (coding, body)
            assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
            assert (answer.headers["Cache-Control"], answer.headers["Vary"]) == (
                "public, max-age=31536000, immutable",
                "Accept-Encoding",
            )
            bodies[coding] = answer.headers["ETag"]
    assert len(set(bodies.values())) == 3
    again = await house.get(path, key=None, headers={"Accept-Encoding": "br", "If-None-Match": str(bodies["br"])})
    assert (again.status, again.body) == (304, b"")
    icon = await house.get("/console/favicon.svg", key=None)
    assert (icon.status, icon.headers["Cache-Control"], icon.headers["X-Content-Type-Options"]) == (
        200,
        "no-cache",
        "nosniff",
    )
    assert icon.headers["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    "path",
    [
        "/console/assets/../../secret.txt", "/console/..%2fsecret.txt", "/console/%2e%2e/secret.txt", "/console//etc/passwd.txt",
        "/console/assets/%2e%2e%2f%2e%2e%2fsecret.txt", "/console/..\\secret.txt", "/console/assets/link.js", "/console/assets/a-1b.js%00.txt",
        "/console/assets/nothing.js", "/console/assets/", "/console/assets", "/console/nothing.json", "/console/api/nothing",
        "/console/assets/a-1b.js.br",
    ],
)  # fmt: skip
async def test_no_name_leads_elsewhere(house: House, path: str) -> None:
    """What is no file of the build is nothing, or the page; never another file."""
    async with house.http.get(URL(house.origin + path, encoded=True)) as answer:
        body = await answer.text()
    assert SECRET not in body
    assert answer.status == 404 or (answer.status == 200 and "<!doctype html>" in body)
    if "nothing" in path or "link.js" in path:
        assert answer.status == 404
        assert answer.content_type == "application/json"


async def test_people_find_the_console_and_programs_find_nothing_new(house: House) -> None:
    """`/` and `/console` lead there; without Accept: text/html the root answers as every unknown path."""
    for path, headers, status in (("/", HTML, 302), ("/console", {}, 308)):
        async with house.http.get(house.origin + path, headers=headers, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (status, "/console/")
    root = await house.get("/", key=None)
    assert (root.status, root.error["code"]) == (404, "not_found")
    assert "GET /v1/models" in str(root.error["message"])


async def test_without_a_build_the_page_says_what_to_do(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And signing in works all the same; switched off, there is nothing at all, cookies included. A start says either."""
    monkeypatch.setattr(app_console, "FOLDER", tmp_path / "nothing")
    config = write_config(tmp_path, f"sqlite:///{tmp_path}/gateway.db", SANDBOX)
    async with serving(config, {}) as unbuilt:
        answer = await unbuilt.get("/console/tasks", key=None, headers=HTML)
        assert (answer.status, NOT_BUILT in answer.body.decode()) == (503, True)
        assert "script-src" not in answer.headers["Content-Security-Policy"]
        assert (await unbuilt.get("/console/api/session", key=None)).json["signed_in"] is False
    assert "`make console`" in str(app_console.console_line(config))
    off = replace(config, console=replace(config.console, enabled=False))
    async with serving(off, {}) as without:
        for path in ("/", "/console", "/console/", "/console/assets/a.js", "/console/api/session"):
            async with without.http.get(without.origin + path, headers=HTML, allow_redirects=False) as found:
                assert (found.status, found.content_type) == (404, "application/json"), path
        assert (await without.get("/v1/models", key=None, headers={"Cookie": f"igw_session={'A' * 43}"})).status == 401
    assert app_console.console_line(off) is None
    monkeypatch.setattr(app_console, "FOLDER", build(tmp_path))
    assert app_console.console_line(config) == f"Console: {config.server.public_url}/console/"


async def test_what_is_no_console_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of any size would be kept in memory."""
    console = build(tmp_path)
    monkeypatch.setattr("gateway.api.console_files.FILES_MAX", 3)
    with pytest.raises(BuildRefused, match="more than 3 files"):
        read_console(console)
    monkeypatch.undo()
    monkeypatch.setattr("gateway.api.console_files.BYTES_MAX", 100)
    with pytest.raises(BuildRefused):
        read_console(console)
    assert read_console(tmp_path / "assets") is None
