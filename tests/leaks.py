"""The proof that nothing leaks: whatever a gateway writes, answers, counts and stores is searched for its secrets and its callers' prompts.

A secret may stand nowhere but in the one answer that shows it; a prompt in the column `tasks.prompt` and in answers to its caller that are no errors.
Each is looked for as it is and as JSON, URLs, hexadecimal and base64 would hold it. Owns the search alone: whoever runs a gateway hands everything
over, and asserts at the end that nothing was found.
"""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import orjson
from sqlalchemy import select

from gateway import secret_files
from gateway.config import Config
from gateway.db.connection import Connection
from gateway.db.schema import metadata
from gateway.db.statements import Statement

SECRET_CHARS_MIN = 8
PROMPT_CHARS_MIN = 12
"""A shorter prompt ("a cat") is an everyday word that may stand anywhere."""
PROMPT_CHARS_MAX = 48
"""Of a long prompt, so much of its beginning and of its end is looked for."""
PROMPTS_MAX = 50
"""Of a test that sends more, the first ones are looked for."""
FILE_BYTES_MAX = 512 * 1024
"""Of larger files so much of the beginning and of the end: a manifest is small, and a pack of small pictures has it inside."""
PROMPT_COLUMN, REVISED_COLUMN = "tasks.prompt", "results.revised_prompt"
PURPOSES = (
    "image-gateway keys v1",
    "image-gateway admin tokens v1",
    "image-gateway links v1",
    "image-gateway callbacks v1",
    "image-gateway sessions v1",
)
"""What the gateway derives from its secret key is as secret."""
_ROWS_OF = {table.name: Statement(select(table)) for table in metadata.sorted_tables}


@dataclass(frozen=True, slots=True)
class Found:
    """A leak: what, where and in which form; never the secret itself."""

    what: str
    where: str
    form: str


@dataclass(slots=True)
class Leaks:
    """What must not be found, and what was. `echoed`: the test's upstream repeats prompts as revised ones, which are kept with the pictures."""

    found: list[Found] = field(default_factory=list)
    echoed: bool = False
    _secrets: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    _prompts: dict[str, Mapping[str, bytes]] = field(default_factory=dict)

    def secret(self, name: str, secret: str | bytes) -> None:
        """From now on this may stand nowhere."""
        data = secret if isinstance(secret, bytes) else secret.strip().encode("utf-8", "surrogateescape")
        if len(data) >= SECRET_CHARS_MIN:
            self._secrets.setdefault(name, forms(data))

    def prompt(self, prompt: str) -> None:
        """From now on this may stand in its column alone."""
        text = prompt.strip()
        if len(text) >= PROMPT_CHARS_MIN and len(self._prompts) < PROMPTS_MAX:
            for part in {text[:PROMPT_CHARS_MAX], text[-PROMPT_CHARS_MAX:]}:
                self._prompts.setdefault(f"the prompt {part[:16]!r}…", forms(part.encode("utf-8", "surrogateescape")))

    def look(self, where: str, data: bytes, *, prompts: bool = True, shown: Iterable[str] = ()) -> None:
        """Search bytes that came from somewhere. `prompts`: whether those must not be in it; `shown`: secrets, by name, that may."""
        wanted = [(name, made) for name, made in self._secrets.items() if name not in shown]
        wanted += self._prompts.items() if prompts else ()
        for name, made in wanted:
            form = next((form for form, needle in made.items() if needle in data), None)
            if form is not None:
                self.found.append(Found(name, where, form))

    def answer(self, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """What a caller got: an error tells no prompt either, and the one answer that shows a secret makes it one."""
        shown = secret_shown(method, path, status, body)
        for number, made in enumerate(() if shown is None else forms_in(shown)):
            self.secret(f"the secret shown by {method} {path}: {str(shown)[:12]}… ({number})", made)
        where = f"the answer {status} of {method} {path.partition('?')[0][:80]}"
        head = "\n".join(f"{name}: {value}" for name, value in headers.items()).encode("utf-8", "surrogateescape")
        self.look(f"{where} (headers)", head, prompts=status >= 400)
        if _is_text(headers):
            # A callback secret of the config is shown as receivers take it: the same bytes under two names.
            names = (
                () if shown is None else [n for n, made in self._secrets.items() if made["as it is"] in forms_in(shown)]
            )
            self.look(where, body, prompts=status >= 400, shown=names)

    async def database(self, connection: Connection) -> None:
        """Every row of every table. Prompts that are kept become ones that may stand nowhere else, so this goes before the other searches."""
        stored = {name: await connection.fetch(statement) for name, statement in _ROWS_OF.items()}
        number = list(metadata.tables["tasks"].columns.keys()).index("prompt")
        for row in stored["tasks"]:
            if isinstance(row[number], str):
                self.prompt(str(row[number]))
        for name, rows in stored.items():
            for column, values in zip(metadata.tables[name].columns.keys(), zip(*rows, strict=True), strict=False):
                texts = "\n".join(str(value) for value in values if isinstance(value, str))
                place = f"{name}.{column}"
                allowed = place == PROMPT_COLUMN or (self.echoed and place == REVISED_COLUMN)
                self.look(f"the table's column {place}", texts.encode("utf-8"), prompts=not allowed)

    def files(self, folder: Path) -> None:
        """Whatever lies below the folder of pictures, names included."""
        for path in folder.rglob("*") if folder.is_dir() else ():
            self.look("a file's name", str(path.relative_to(folder)).encode("utf-8", "surrogateescape"))
            if path.is_file():
                self.look(f"the file {path.relative_to(folder)}", _ends_of(path), prompts=not self.echoed)

    def database_file(self, path: Path) -> None:
        """The bytes of a SQLite file and its log: what was deleted or is in no column, too. Secrets alone: prompts have their place in it."""
        for file in (path, path.with_name(path.name + "-wal")):
            if file.exists():
                self.look(f"the file {file.name}", file.read_bytes(), prompts=False)

    def assert_none(self) -> None:
        """AssertionError that names every leak."""
        assert self.found == [], f"leaked: {sorted(set(map(str, self.found)))}"


def secrets_of(config: Config) -> Mapping[str, str | bytes]:
    """Everything secret that a config holds, by what it is."""
    secrets: dict[str, str | bytes] = {}
    for org in config.accounts:
        for team, keys in (("", org.keys), *((team.name, team.keys) for team in org.teams)):
            secrets.update({f"the key {org.name}/{team}/{key.name}": key.secret for key in keys})
            signing = {key.name: key.callback_secret for key in keys if key.callback_secret is not None}
            secrets.update({f"the callback secret {org.name}/{team}/{name}": one for name, one in signing.items()})
    secrets.update({f"the key of {upstream.name}": upstream.api_key for upstream in config.upstreams})
    if config.admin_token is not None:
        secrets["the config's admin token"] = config.admin_token
    if config.alerts is not None:
        secrets["the secret of alerts"] = config.alerts.secret
    if config.secret_key is not None:
        secrets["secret_key"] = config.secret_key
        secrets.update({f"the key for {each}": secret_files.derive(config.secret_key, each) for each in PURPOSES})
    return secrets


def secret_shown(method: str, path: str, status: int, body: bytes) -> str | None:
    """The secret in an answer that may show one: of a key or an admin token, just made, or what signs a key's callbacks."""
    of_callbacks = path.startswith("/admin/v1/keys/") and "/callback-secret" in path
    if not of_callbacks and (method != "POST" or not path.startswith(("/admin/v1/keys", "/admin/v1/tokens"))):
        return None
    if status not in (200, 201):
        return None
    value = orjson.loads(body)
    secret = value.get("secret") if isinstance(value, dict) else None
    return secret if isinstance(secret, str) else None


def forms_in(shown: str) -> tuple[bytes, ...]:
    """A secret as it is shown, and the bytes behind it where it is one of webhooks."""
    if not shown.startswith("whsec_"):
        return (shown.encode(),)
    return shown.encode(), base64.b64decode(shown.removeprefix("whsec_"))


def forms(data: bytes) -> dict[str, bytes]:
    """How bytes may stand in something else. Base64 depends on where in a text they begin: what is the same wherever it ends is looked for."""
    made = {"as it is": data, "as hex": data.hex().encode(), "as HEX": data.hex().upper().encode()}
    for offset in range(3):
        coded = base64.b64encode(bytes(offset) + data)
        # What the bytes before and after have a part in is left out.
        first, last = -(-offset * 8 // 6), (offset + len(data)) * 8 // 6
        made[f"as base64 at {offset}"] = coded[first:last]
        made[f"as base64url at {offset}"] = coded[first:last].translate(bytes.maketrans(b"+/", b"-_"))
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return made
    json_text, escaped = orjson.dumps(text)[1:-1], text.encode("unicode_escape")
    quoted, plus = quote(text, safe="").encode(), quote(text, safe=" ").replace(" ", "+").encode()
    for form, needle in (("in JSON", json_text), ("escaped", escaped), ("in a URL", quoted), ("in a form", plus)):
        if needle not in made.values():
            made[form] = needle
    return made


def _is_text(headers: Mapping[str, str]) -> bool:
    kinds = [value for name, value in headers.items() if name.lower() == "content-type"]
    return not any(kind.startswith("image/") for kind in kinds)


def _ends_of(path: Path) -> bytes:
    with path.open("rb") as file:
        first = file.read(FILE_BYTES_MAX)
        file.seek(max(len(first), path.stat().st_size - FILE_BYTES_MAX))
        return first + file.read()
