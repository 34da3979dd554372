"""The first minutes of a newcomer: an empty folder, one command, and what it prints, pasted elsewhere."""

import re
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from tests.acceptance.conftest import NewGateway
from tests.acceptance.gateway_process import GATEWAY, ROOT, GatewayProcess, environment

SHIPPED = ROOT / "config/gateway.yaml"
SNIPPET_S_MAX = 60.0
CONFIGS = pytest.mark.parametrize("config", [SHIPPED, None], ids=["shipped-config", "no-config"])


def snippet(gateway: GatewayProcess, heading: str) -> str:
    """What stands below a heading, between empty lines, exactly as printed."""
    _, found, rest = gateway.output.partition(heading)
    assert found, gateway.output
    return rest.partition("\n")[2].removeprefix("\n").partition("\n\n")[0]


def key_of(gateway: GatewayProcess) -> str:
    found = re.search(r"API key \(shown once, kept in (.+)\):\n  (igw_\w+)\n", gateway.output)
    assert found, gateway.output
    path = Path(found[1])
    assert path.read_text().strip() == found[2]
    assert path.stat().st_mode & 0o777 == 0o600
    return found[2]


def admin_token_of(gateway: GatewayProcess) -> str:
    found = re.search(r"Admin token for /admin/v1 \(shown once, kept in (.+)\):\n  (iga_\w+)\n", gateway.output)
    assert found, gateway.output
    path = Path(found[1])
    assert path.read_text().strip() == found[2]
    assert path.stat().st_mode & 0o777 == 0o600
    return found[2]


def tokens(gateway: GatewayProcess, token: str) -> int:
    """How the route of admin tokens answers this one."""
    return gateway.request("GET", "/admin/v1/tokens", key=token).status


def paste(command: list[str | Path], text: str, folder: Path) -> None:
    """Type a text into a program's prompt, in a terminal that has nothing to do with the gateway's folder."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        command,
        input=text + "\n",
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=SNIPPET_S_MAX,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert "rror" not in done.stderr, done.stderr


def assert_picture(path: Path) -> None:
    """A real picture, whole."""
    with Image.open(path) as picture:
        picture.load()
        assert picture.size == (1024, 1024)
        assert picture.format == "PNG"


@CONFIGS
def test_a_first_start_prints_all_that_a_first_picture_needs(
    new_gateway: NewGateway, tmp_path: Path, config: Path | None
) -> None:
    """Base URL, key and a curl command that makes a picture as pasted; at the second start no secret but where it is, and the command works again."""
    gateway = new_gateway(config).start("--port", "0", command=(GATEWAY,) if config is None else ())
    key = key_of(gateway)
    assert f"serves at {gateway.base_url}\n" in gateway.output
    curl = snippet(gateway, "A picture with curl, saved as cat.png:")
    assert key in curl
    paste(["bash"], curl, tmp_path / "first")
    assert_picture(tmp_path / "first/cat.png")
    assert gateway.terminate() == 0

    gateway.start("--port", "0")
    assert "igw_" not in gateway.output + gateway.log
    assert f"The API key of the first start is in {gateway.folder / 'var/api_key'}.\n" in gateway.output
    paste(["bash"], snippet(gateway, "A picture with curl, saved as cat.png:"), tmp_path / "second")
    assert_picture(tmp_path / "second/cat.png")


@pytest.mark.parametrize(
    ("client_python", "config"),
    [("openai-1", None), ("openai-2", SHIPPED), ("openai-3", None)],
    ids=["openai-1", "openai-2-shipped-config", "openai-3"],
    indirect=["client_python"],
)
def test_the_printed_python_makes_a_picture(
    new_gateway: NewGateway, tmp_path: Path, config: Path | None, client_python: Path
) -> None:
    """With the oldest and the newest official client, at the first start and at the second, at the interactive prompt and as a program."""
    gateway = new_gateway(config).start("--port", "0")
    key = key_of(gateway)
    first = snippet(gateway, "The same with Python (pip install openai), saved as cat2.png:")
    assert key in first
    paste([client_python, "-i", "-q"], first, tmp_path / "first")
    assert_picture(tmp_path / "first/cat2.png")
    if config is not None:
        return  # the second start prints the same with a config as without one
    assert gateway.terminate() == 0

    gateway.start("--port", "0")
    second = snippet(gateway, "The same with Python (pip install openai), saved as cat2.png:")
    assert "igw_" not in second
    paste([client_python, "-"], second, tmp_path / "second")
    assert_picture(tmp_path / "second/cat2.png")


def test_a_folder_with_a_space_in_its_name_changes_nothing(new_gateway: NewGateway, tmp_path: Path) -> None:
    """The path of the kept key is quoted in both snippets."""
    gateway = new_gateway(None, folder=tmp_path / "my pictures' gateway").start("--port", "0")
    assert gateway.terminate() == 0
    gateway.start("--port", "0")
    paste(["bash"], snippet(gateway, "A picture with curl, saved as cat.png:"), tmp_path / "out")
    assert_picture(tmp_path / "out/cat.png")


def test_a_config_in_the_working_folder_is_found(new_gateway: NewGateway) -> None:
    """`gateway serve` without --config takes config/gateway.yaml where there is one."""
    gateway = new_gateway(None)
    path = gateway.folder / "config/gateway.yaml"
    path.parent.mkdir()
    path.write_text("server: {port: 0}\nupstreams: {sandbox: {kind: sandbox}}\ndatabase: sqlite:///elsewhere/own.db\n")
    gateway.start()
    assert (gateway.folder / "elsewhere/own.db").exists()
    assert "upstream openai" not in gateway.output


def test_the_module_is_the_command(new_gateway: NewGateway) -> None:
    """`python -m gateway serve` serves, and stops with exit code 0."""
    gateway = new_gateway(None)
    gateway.start("--port", "0", command=(GATEWAY.with_name("python"), "-m", "gateway"))
    assert gateway.request("GET", "/v1/models", key=key_of(gateway)).status == 200
    assert gateway.terminate() == 0


def test_a_first_start_makes_an_admin_token(new_gateway: NewGateway) -> None:
    """Printed once, kept 0600, good for everything; the next start says where it is, and it works on. Revoked, it is not made anew."""
    gateway = new_gateway(None).start("--port", "0")
    token, key = admin_token_of(gateway), key_of(gateway)
    assert gateway.output.count(token) == 1
    assert token not in gateway.log
    assert (tokens(gateway, token), tokens(gateway, key), tokens(gateway, "")) == (200, 401, 401)
    made = gateway.request("POST", "/admin/v1/keys", {"org": "acme", "name": "new"}, key=token)
    assert (made.status, gateway.request("GET", "/v1/models", key=made.json["secret"]).status) == (201, 200)
    assert gateway.terminate() == 0

    gateway.start("--port", "0")
    assert "iga_" not in gateway.output + gateway.log
    assert f"The admin token is in {gateway.folder / 'var/admin_token'}.\n" in gateway.output
    assert tokens(gateway, token) == 200
    [row] = gateway.rows("admin-tokens", "list")
    assert gateway.command("admin-tokens", "revoke", row["id"]).returncode == 0
    assert tokens(gateway, token) == 401
    assert gateway.terminate() == 0

    gateway.start("--port", "0")
    assert "iga_" not in gateway.output + gateway.log
    assert tokens(gateway, token) == 401


def test_what_was_kept_before_a_crash_is_made_by_the_next_start(new_gateway: NewGateway) -> None:
    """Key and token are kept before they are made: a first start that dies in between has lost nothing, and the same secrets become valid."""
    first = new_gateway(None).start("--port", "0")
    secrets = {name: (first.folder / "var" / name).read_text() for name in ("api_key", "admin_token")}
    first.kill()
    second = new_gateway(None)
    (second.folder / "var").mkdir()
    for name, secret in secrets.items():
        (second.folder / "var" / name).write_text(secret)
    second.start("--port", "0")
    assert (key_of(second), admin_token_of(second)) == (secrets["api_key"].strip(), secrets["admin_token"].strip())
    assert second.request("GET", "/v1/models", key=key_of(second)).status == 200
    assert tokens(second, admin_token_of(second)) == 200


def test_an_admin_token_of_the_config(new_gateway: NewGateway) -> None:
    """It may do everything, is printed nowhere, keeps the gateway from making one, and is rotated by another value and a restart."""
    declared, later = "an-admin-token-of-the-config", "another-admin-token-of-the-config"
    settings = {"server": {"port": 0}, "upstreams": {"sandbox": {"kind": "sandbox"}}, "admin_token": "${ADMIN}"}
    gateway = new_gateway(settings, environ={"ADMIN": declared}).start()
    assert (tokens(gateway, declared), tokens(gateway, later)) == (200, 401)
    made = gateway.request("POST", "/admin/v1/tokens", {"name": "ci", "scopes": ["read"]}, key=declared)
    assert (made.status, tokens(gateway, made.json["secret"])) == (201, 200)
    assert "dmin token" not in gateway.output
    assert not (gateway.folder / "var/admin_token").exists()
    assert gateway.terminate() == 0
    assert declared not in gateway.output + gateway.log

    rotated = new_gateway(settings, folder=gateway.folder, environ={"ADMIN": later}).start()
    assert (tokens(rotated, declared), tokens(rotated, later)) == (401, 200)
    assert tokens(rotated, made.json["secret"]) == 200


@pytest.mark.xdist_group("acceptance-postgresql")
def test_on_postgresql_no_admin_token_is_made(new_gateway: NewGateway, postgresql_database: str) -> None:
    """Nothing secret is printed or written beside the gateway; the operator makes one by command, shown once."""
    settings = {
        "server": {"port": 0}, "upstreams": {"sandbox": {"kind": "sandbox"}}, "database": postgresql_database, "secret_key": "0123456789abcdef" * 4,
    }  # fmt: skip
    gateway = new_gateway(settings).migrate().start()
    assert "iga_" not in gateway.output + gateway.log
    assert "dmin token" not in gateway.output
    assert gateway.rows("admin-tokens", "list") == []
    [made] = gateway.rows("admin-tokens", "create", "--name", "ops")
    # The running gateway learns of it with its next look at the database; a start knows it at once.
    assert gateway.terminate() == 0
    gateway.start()
    assert tokens(gateway, made["token"]) == 200
    assert not [path for path in (gateway.folder / "var").iterdir() if path.name != "images"]
