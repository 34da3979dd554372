"""The search for leaks finds what is planted, in every form and at every place, and accuses nobody else."""

import base64
from pathlib import Path
from urllib.parse import quote

import orjson
import pytest

from tests.leaks import Leaks

SECRET = 'käy "of" the ci/+='
PROMPT = "a fox that nobody else may read about"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def leaks() -> Leaks:
    made = Leaks()
    made.secret("the key", SECRET)
    made.prompt(PROMPT)
    return made


@pytest.mark.parametrize(
    "planted",
    [
        SECRET.encode(),
        orjson.dumps({"key": SECRET}),
        quote(SECRET, safe="").encode(),
        quote(SECRET, safe=" ").replace(" ", "+").encode(),
        SECRET.encode().hex().encode(),
        SECRET.encode().hex().upper().encode(),
        *(base64.b64encode(b"x" * offset + SECRET.encode() + b"and more") for offset in range(4)),
        base64.urlsafe_b64encode(b"?>" + SECRET.encode()),
        SECRET.encode("unicode_escape"),
    ],
)
def test_a_secret_is_found_in_every_form(leaks: Leaks, planted: bytes) -> None:
    """As it is, in JSON, in URLs, as hexadecimal, and as base64 wherever it begins; the finding does not repeat it."""
    leaks.look("the log", b"before " + planted + b" after")
    assert [(found.what, found.where) for found in leaks.found] == [("the key", "the log")]
    assert SECRET not in repr(leaks.found)


def test_nothing_is_found_where_nothing_is(leaks: Leaks) -> None:
    """Neither a part of the secret nor another one; a secret too short to be told from words is not looked for."""
    leaks.secret("a short one", "cat")
    leaks.prompt("a cat")
    leaks.look("the log", b"k\xc3\xa4y of the cat, a cat and another ci " + base64.b64encode(b"another key of the ci"))
    assert leaks.found == []


def test_prompts_are_looked_for_by_both_ends(leaks: Leaks) -> None:
    """However long one is; and only where they must not be."""
    leaks.prompt("begins like this, " * 3 + "x" * 9_000 + " and ends like that" * 3)
    leaks.look("the log", b"... and ends like that and ends like that and ends like that")
    leaks.look("the table's column tasks.prompt", PROMPT.encode(), prompts=False)
    assert [(found.where, found.what[:12]) for found in leaks.found] == [("the log", "the prompt '")]


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (400, JSON, orjson.dumps({"error": {"message": f"{PROMPT} is refused"}})),
        (400, {**JSON, "X-Why": PROMPT}, b"{}"),
        (200, JSON, orjson.dumps({"key": SECRET})),
        (200, {"Content-Type": "image/png", "X-Key": SECRET}, b""),
        (401, {}, f"no key {SECRET}".encode()),
    ],
)
def test_answers_are_searched(leaks: Leaks, status: int, headers: dict[str, str], body: bytes) -> None:
    """Errors for prompts and secrets, everything for secrets, headers like bodies."""
    leaks.answer("GET", "/v1/models?x=1", status, headers, body)
    assert [found.where.partition(" (")[0] for found in leaks.found] == [f"the answer {status} of GET /v1/models"]


def test_a_caller_may_read_its_own_prompt(leaks: Leaks) -> None:
    """An answer that is no error may hold it."""
    leaks.answer("GET", "/v1/tasks/x", 200, JSON, orjson.dumps({"prompt": PROMPT}))
    assert leaks.found == []


def test_a_secret_is_shown_once(leaks: Leaks) -> None:
    """In the answer that makes it; in every other one, and in the log, it is a leak from then on."""
    body = orjson.dumps({"id": "key_1", "secret": "igw_" + "a1B2c3" * 6})
    leaks.answer("POST", "/admin/v1/keys", 201, JSON, body)
    assert leaks.found == []
    leaks.answer("GET", "/admin/v1/keys/key_1", 200, JSON, body)
    leaks.look("the log", body)
    assert [found.where for found in leaks.found] == ["the answer 200 of GET /admin/v1/keys/key_1", "the log"]


def test_files_are_searched(leaks: Leaks, tmp_path: Path) -> None:
    """Names, small files, and both ends of large ones; SQLite's file and log."""
    pictures = tmp_path / "images"
    (pictures / "att_1").mkdir(parents=True)
    (pictures / "att_1/manifest").write_text(PROMPT)
    (pictures / "att_1/0").write_bytes(bytes(3_000_000) + SECRET.encode())
    (pictures / f"a {PROMPT}").touch()
    database = tmp_path / "gateway.db"
    database.write_bytes(PROMPT.encode())
    database.with_name("gateway.db-wal").write_bytes(SECRET.encode())
    leaks.files(pictures)
    leaks.files(tmp_path / "nowhere")
    leaks.database_file(database)
    assert sorted(found.where for found in leaks.found) == [
        "a file's name", "the file att_1/0", "the file att_1/manifest", "the file gateway.db-wal",
    ]  # fmt: skip
