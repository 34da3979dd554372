"""Accounts, keys and operators' commands on both databases."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from gateway.administration.account_commands import AccountCommands
from gateway.administration.accounts import Accounts
from gateway.administration.admin_tokens import AdminTokenAdministration
from gateway.administration.book_commands import BookCommands
from gateway.administration.declared import DeclaredKey, Declaring
from gateway.administration.holds import Holds
from gateway.administration.in_doubt import InDoubt
from gateway.administration.in_doubt_commands import InDoubtCommands
from gateway.administration.key_commands import KeyCommands
from gateway.administration.keys import Keys
from gateway.administration.operator import Operator
from gateway.administration.token_commands import TokenCommands
from gateway.domain.accounts import Account, AccountKind, Limits, Principal, parse_budget
from gateway.domain.clock import SystemClock
from gateway.domain.errors import (
    AdministrationError,
    Conflict,
    GatewayError,
    InvalidKey,
    KeyDisabled,
    KeyExpired,
    SubjectNotFound,
)
from gateway.domain.ids import org_account_id, team_account_id
from gateway.domain.images import Contract
from gateway.keys.admin_tokens import AdminTokens
from gateway.keys.authenticator import Authenticator
from tests.books import Gateway, opened

ORG = Account(org_account_id("globex"), AccountKind.ORG, "globex")
TEAM = Account(team_account_id("globex", "art"), AccountKind.TEAM, "art", ORG.id)
CI = DeclaredKey("globex", "art", "ci", "a declared secret", models=("gpt-image-2",), response=Contract.TASK)
BARE = DeclaredKey("globex", None, "bare", "another secret")


@dataclass
class Office:
    database: Gateway
    keys: Keys
    declaring: Declaring
    authenticator: Authenticator
    operator: Operator

    async def declare(self, *declared: object) -> None:
        await self.declaring.declare(*declared)  # type: ignore[arg-type]  # four lists, as each test writes them
        await self.keys.reload()

    def who(self, secret: str) -> Principal:
        return self.authenticator.authenticate(f"Bearer {secret}")


@pytest.fixture
async def office(database_url: str) -> AsyncIterator[Office]:
    database = await opened(database_url)
    clock = SystemClock()
    authenticator, admin_tokens = Authenticator(b"pepper", clock), AdminTokens(b"other pepper", clock)
    keys = Keys(database, authenticator, b"pepper", clock, {"gpt-image-2"})
    tokens = AdminTokenAdministration(database, admin_tokens, b"other pepper", clock, None)
    operator = Operator(
        AccountCommands(Accounts(database, keys.reload, clock, {"gpt-image-2"})).commands,
        KeyCommands(keys, clock).commands,
        TokenCommands(tokens, clock).commands,
        BookCommands(database, Holds(database)).commands,
        InDoubtCommands(InDoubt(database)).commands,
    )
    yield Office(database, keys, Declaring(database, b"pepper", clock), authenticator, operator)
    await database.close()


async def test_declared_keys_authenticate_as_their_path(office: Office) -> None:
    """Key, team, org; models and contract as declared; a key may hang on the org directly."""
    await office.declare([ORG], [TEAM], [CI, BARE], ["openai"])
    who = office.who("a declared secret")
    assert who.path == ("key:globex/art/ci", "team:globex/art", "org:globex")
    assert (who.org, who.team, who.user_group, who.models, who.response) == (
        "globex",
        "art",
        "art",
        ("gpt-image-2",),
        Contract.TASK,
    )
    assert office.who("another secret").path == ("key:globex//bare", "org:globex")
    assert office.who("another secret").user_group == "default"


async def test_a_changed_secret_is_a_rotation_and_a_removed_key_is_disabled(office: Office) -> None:
    """The account and what is booked on it stay; the old secret is nobody's."""
    await office.declare([ORG], [TEAM], [CI, BARE], [])
    changed = DeclaredKey("globex", "art", "ci", "a newer secret")
    await office.declare([ORG], [TEAM], [changed], [])
    assert office.who("a newer secret").key_id == "declared:key:globex/art/ci"
    for gone in ("a declared secret", "another secret"):
        with pytest.raises((InvalidKey, KeyDisabled)):
            office.who(gone)
    await office.declare([ORG], [TEAM], [changed, BARE], [])
    assert office.who("another secret").key_name == "bare"


async def test_secrets_may_change_places(office: Office) -> None:
    """Two declared keys swap their secrets in one change."""
    await office.declare([ORG], [TEAM], [CI, BARE], [])
    swapped = [DeclaredKey("globex", "art", "ci", BARE.secret), DeclaredKey("globex", None, "bare", CI.secret)]
    await office.declare([ORG], [TEAM], swapped, [])
    assert office.who(BARE.secret).key_name == "ci"
    assert office.who(CI.secret).key_name == "bare"


async def test_no_secret_is_stored(office: Office) -> None:
    """A digest and a few characters to recognise a key by are all there is."""
    issued = await office.keys.create(org="globex", team="art", name="new")
    await office.declare([], [], [CI], [])
    for key in await office.keys.all():
        assert issued.secret not in repr(key)
        assert CI.secret not in repr(key)
    assert issued.secret not in repr(issued)


async def test_an_issued_key_works_at_once_until_it_is_revoked(office: Office) -> None:
    """Its org and team are made with it; a taken name and an unknown id are refused with a remedy."""
    issued = await office.keys.create(org="initech", team="web", name="site", budgets=(parse_budget("5usd/total"),))
    assert office.who(issued.secret).path == ("key:initech/web/site", "team:initech/web", "org:initech")
    with pytest.raises(Conflict, match="exists there already"):
        await office.keys.create(org="initech", team="web", name="site")
    await office.keys.revoke(issued.id)
    with pytest.raises(KeyDisabled):
        office.who(issued.secret)
    with pytest.raises(SubjectNotFound, match="no such key"):
        await office.keys.revoke("key_nobody")
    again = await office.keys.create(org="initech", team="web", name="site")
    assert office.who(again.secret).key_id != issued.id


async def test_declared_keys_are_not_revoked_by_command(office: Office) -> None:
    """The config would bring them back: it says where to change them."""
    await office.declare([ORG], [TEAM], [CI], [])
    with pytest.raises(Conflict, match="config"):
        await office.keys.revoke("declared:key:globex/art/ci")


@pytest.mark.parametrize("name", ["", "  ", "a/b", "a:b"])
async def test_names_that_would_break_account_ids_are_refused(office: Office, name: str) -> None:
    """Slashes and colons separate the parts of an account's id."""
    with pytest.raises(AdministrationError, match="name"):
        await office.keys.create(org="o", team=None, name=name)


async def test_limits_follow_the_config(office: Office) -> None:
    """They come with authentication, nearest first, of those accounts that limit anything; changed ones follow, taken away ones are gone."""
    art = replace(TEAM, limits=Limits(concurrent_tasks=4, models=("gpt-image-2",), sizes=("1:1",), n_max=2))
    limited = replace(CI, limits=Limits(requests_per_minute=60))
    await office.declare([ORG], [art], [limited, BARE], [])
    assert office.who(CI.secret).limits == ((limited.account.id, limited.limits), (TEAM.id, art.limits))
    assert office.who(BARE.secret).limits == ()
    globex = replace(ORG, limits=Limits(requests_per_minute=5))
    await office.declare([globex], [TEAM], [CI, BARE], [])
    assert office.who(CI.secret).limits == office.who(BARE.secret).limits == ((ORG.id, globex.limits),)


async def test_a_new_key_does_not_change_its_parents_limits(office: Office) -> None:
    """Only its own are given with it, and it expires when it should."""
    art = replace(TEAM, limits=Limits(n_max=2))
    await office.declare([ORG], [art], [], [])
    limits = {"rpm": "60", "concurrency": "8", "sizes": "1:1, auto", "n_max": "1"}
    arguments = {"name": "n", "org": "globex", "team": "art", "expires": "90d", **limits}
    made = await office.operator.run("keys create", arguments)
    who = office.who(str(made.rows[0]["key"]))
    assert who.limits[0][1] == Limits(60, 8, sizes=("1:1", "auto"), n_max=1)
    assert who.limits[1] == (TEAM.id, art.limits)
    listed = {row["account"]: row["limits"] for row in (await office.operator.run("accounts list", {})).rows}
    assert (listed[TEAM.id], listed[ORG.id]) == ('{"n_max":2}', None)
    [key] = [key for key in await office.keys.all() if not key.declared]
    assert key.expires_at_ms is not None
    assert abs(key.expires_at_ms - SystemClock().now_ms() - 90 * 86_400_000) < 60_000


async def test_a_declared_key_expires(office: Office) -> None:
    """From its moment on it is refused; without one it lives again."""
    await office.declare([ORG], [TEAM], [replace(CI, expires_at_ms=SystemClock().now_ms() - 1)], [])
    with pytest.raises(KeyExpired):
        office.who(CI.secret)
    await office.declare([ORG], [TEAM], [CI], [])
    assert office.who(CI.secret).key_name == "ci"


async def test_the_commands_answer_rows(office: Office) -> None:
    """Create, list, revoke, accounts, in-doubt, audit: what `gateway …` prints."""
    made = await office.operator.run(
        "keys create", {"name": "cli", "org": "globex", "budgets": "3credits/total,9images/total"}
    )
    [row] = made.rows
    assert str(row["key"]).startswith("igw_")
    listed = (await office.operator.run("keys list", {})).rows
    assert [(item["id"], item["state"]) for item in listed] == [(row["id"], "active")]
    accounts = {item["account"]: item for item in (await office.operator.run("accounts list", {})).rows}
    assert accounts["key:globex//cli"]["budgets"] == "3credits/total, 9images/total"
    assert (await office.operator.run("keys revoke", {"id": str(row["id"])})).message
    assert (await office.operator.run("in-doubt list", {})).rows == ()
    audit = await office.operator.run("ledger audit", {})
    assert not audit.failed
    assert "no differences" in audit.message


@pytest.mark.parametrize(
    ("command", "arguments", "says"),
    [
        ("keys destroy", {}, "keys create"),
        ("keys create", {}, "--name"),
        ("keys create", {"name": "x", "budgets": "5usd/year"}, "usd"),
        ("keys create", {"name": "x", "response": "video"}, "video"),
        ("keys create", {"name": "x", "rpm": "0"}, "rpm: '0' is not a whole number from 1 to 100000"),
        ("keys create", {"name": "x", "concurrency": "many"}, "concurrency: 'many'"),
        ("keys create", {"name": "x", "n_max": "101"}, "from 1 to 100"),
        ("keys create", {"name": "x", "sizes": "1024x1024,huge"}, "sizes: 'huge'"),
        ("keys create", {"name": "x", "expires": "soon"}, "2027-01-31"),
        ("keys create", {"name": "x", "models": "gpt-image-2,nosuch"}, "'nosuch'; there are: gpt-image-2"),
    ],
)
async def test_wrong_commands_say_what_is_right(
    office: Office, command: str, arguments: dict[str, str], says: str
) -> None:
    """The argument and the remedy."""
    with pytest.raises(GatewayError, match=says):
        await office.operator.run(command, arguments)
