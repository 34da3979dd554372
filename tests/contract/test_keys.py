"""What administrators do with keys, on both databases: rotation and its overlap, changes, last use, pages, and whose keys an administrator sees."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from gateway.administration.audit_log import AuditLog
from gateway.administration.declared import DeclaredKey, Declaring
from gateway.administration.key_commands import KeyCommands
from gateway.administration.keys import IssuedKey, Keys
from gateway.administration.operator import Operator
from gateway.db.writer import Transact
from gateway.domain.accounts import Account, AccountKind, Limits, Principal, parse_budget
from gateway.domain.administrators import COMMAND, Administrator, Scope
from gateway.domain.clock import SystemClock
from gateway.domain.errors import (
    AdministrationError,
    Conflict,
    InvalidKey,
    KeyDisabled,
    KeyExpired,
    ScopeMissing,
    SubjectNotFound,
)
from gateway.domain.ids import org_account_id, team_account_id
from gateway.domain.images import Contract
from gateway.domain.keys import KeyState
from gateway.keys.authenticator import Authenticator
from gateway.keys.secrets import digest
from gateway.ledger import accounts as account_store
from tests.books import Gateway, opened

PEPPER = b"pepper"
GLOBEX = Administrator("token:globex", frozenset(Scope), "globex")
OTHER = Administrator("token:other", frozenset(Scope), "other")
HOUR_MS = 3_600_000


class ShiftedClock(SystemClock):
    """The machine's clock, some time on; the database has its own."""

    shift_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.shift_ms


@dataclass
class Office:
    database: Gateway
    clock: ShiftedClock
    keys: Keys
    replica: Keys
    authenticator: Authenticator
    other_authenticator: Authenticator
    operator: Operator

    def who(self, secret: str) -> Principal:
        return self.authenticator.authenticate(f"Bearer {secret}")

    async def made(self, name: str = "site", org: str = "globex", **more: object) -> IssuedKey:
        return await self.keys.create(org=org, team="web", name=name, **more)  # type: ignore[arg-type]  # as each test writes them


@pytest.fixture
async def office(database_url: str) -> AsyncIterator[Office]:
    """Two processes' worth of keys on one database."""
    clock = ShiftedClock()
    database = await opened(database_url)
    first, second = Authenticator(PEPPER, clock), Authenticator(PEPPER, clock)
    keys, replica = (Keys(database, each, PEPPER, clock, {"gpt-image-2"}) for each in (first, second))
    operator = Operator(KeyCommands(keys, clock).commands)
    yield Office(database, clock, keys, replica, first, second, operator)
    await database.close()


async def test_both_secrets_are_valid_during_the_overlap(office: Office) -> None:
    """They are one key to everybody else; at the end of the overlap the old one has expired, and another process knows the same."""
    old = await office.made()
    new = await office.keys.rotate(old.id, 3600)
    assert (new.id, new.account, new.secret != old.secret) == (old.id, old.account, True)
    assert office.who(old.secret) == office.who(new.secret)
    await office.replica.reload()
    assert office.other_authenticator.authenticate(f"Bearer {old.secret}").key_id == old.id
    assert (await office.keys.find(old.id)).overlap_until_ms == new.old_until_ms
    office.clock.shift_ms = HOUR_MS + 60_000
    with pytest.raises(KeyExpired):
        office.who(old.secret)
    assert office.who(new.secret).key_id == old.id
    assert (await office.keys.find(old.id)).overlap_until_ms is None


async def test_without_an_overlap_the_old_secret_is_refused_at_once(office: Office) -> None:
    """And so it is where a second rotation takes the place of the first: two secrets are the most."""
    first = await office.made()
    second = await office.keys.rotate(first.id, 0)
    with pytest.raises(KeyExpired):
        office.who(first.secret)
    third = await office.keys.rotate(first.id, 3600)
    fourth = await office.keys.rotate(first.id, 3600)
    for gone in (first, second):
        with pytest.raises(InvalidKey):
            office.who(gone.secret)
    assert office.who(third.secret) == office.who(fourth.secret)


async def test_revoking_refuses_both_secrets(office: Office) -> None:
    """In the middle of an overlap, and once more changes nothing; a revoked key is neither rotated nor changed."""
    old = await office.made()
    new = await office.keys.rotate(old.id)
    await office.keys.revoke(old.id)
    await office.keys.revoke(old.id)
    for secret in (old.secret, new.secret):
        with pytest.raises(KeyDisabled):
            office.who(secret)
    for wish in (office.keys.rotate(old.id), office.keys.change(old.id, lambda terms: terms)):
        with pytest.raises(Conflict, match="revoked"):
            await wish
    lines = await AuditLog(office.database).lines(GLOBEX, size=10)
    assert [line.action for line in lines] == [
        "key.revoke",
        "key.rotate",
        "key.create",
        "account.create",
        "account.create",
    ]
    assert not any(secret in repr(lines) for secret in (old.secret, new.secret, digest(PEPPER, new.secret)))


async def test_an_expired_key_expires_with_both_secrets(office: Office) -> None:
    """The overlap does not outlive the key; it is rotated again once it has a later end."""
    old = await office.made(expires_at_ms=SystemClock().now_ms() + HOUR_MS)
    new = await office.keys.rotate(old.id)
    office.clock.shift_ms = 2 * HOUR_MS
    for secret in (old.secret, new.secret):
        with pytest.raises(KeyExpired):
            office.who(secret)
    assert (await office.keys.find(old.id)).state is KeyState.EXPIRED
    past = SystemClock().now_ms() - 1
    await office.keys.change(old.id, lambda terms: replace(terms, expires_at_ms=past))
    with pytest.raises(Conflict, match="later end"):
        await office.keys.rotate(old.id)
    await office.keys.change(old.id, lambda terms: replace(terms, expires_at_ms=None))
    assert office.who(new.secret).key_id == old.id


async def test_a_declared_key_is_changed_in_the_config(office: Office) -> None:
    """Neither rotated nor changed nor revoked here; a secret that was a rotated key's may be declared, and is then that key's alone."""
    old = await office.made()
    await office.keys.rotate(old.id)
    declared = DeclaredKey("globex", None, "ci", old.secret)
    org = Account(org_account_id("globex"), AccountKind.ORG, "globex")
    await Declaring(office.database, PEPPER, office.clock).declare([org], [], [declared], [])
    await office.keys.reload()
    assert office.who(old.secret).key_name == "ci"
    key_id = "declared:key:globex//ci"
    for wish in (
        office.keys.rotate(key_id),
        office.keys.change(key_id, lambda terms: terms),
        office.keys.revoke(key_id),
    ):
        with pytest.raises(Conflict, match="config"):
            await wish


async def test_what_a_key_may_do_is_changed_at_once(office: Office) -> None:
    """Budgets, limits, models, contract and end; what else stands on its account stays, and what is not named."""
    made = await office.made(budgets=(parse_budget("5usd/day"),), limits=Limits(60, n_max=2))
    changed = await office.keys.change(
        made.id,
        lambda terms: replace(terms, budgets=(), rpm=None, models=("gpt-image-2",), response=Contract.TASK, concurrency=3),
    )  # fmt: skip
    assert (changed.account.budgets, changed.account.limits) == ((), Limits(None, 3, n_max=2))
    who = office.who(made.secret)
    assert (who.models, who.response, who.limits[0][1].n_max) == (("gpt-image-2",), Contract.TASK, 2)
    with pytest.raises(AdministrationError, match="no model 'nosuch'; there are: gpt-image-2"):
        await office.keys.change(made.id, lambda terms: replace(terms, models=("nosuch",)))
    assert (await office.keys.find(made.id)).key.models == ("gpt-image-2",)


async def test_the_later_use_wins(office: Office) -> None:
    """Two processes write down when each saw a key last: whoever comes late with an earlier time changes nothing."""
    made = await office.made()
    await office.replica.reload()
    office.clock.shift_ms = 10_000
    office.who(made.secret)
    later_ms = office.clock.now_ms()
    office.clock.shift_ms = 5_000
    office.other_authenticator.authenticate(f"Bearer {made.secret}")
    for keys in (office.keys, office.replica, office.keys):
        await keys.keep_used()
    used_ms = (await office.keys.find(made.id)).key.used_at_ms
    assert used_ms is not None
    assert abs(used_ms - later_ms) < 2_000
    office.clock.shift_ms = 20_000
    with pytest.raises(InvalidKey):
        office.who("nobody's secret")
    await office.keys.keep_used()
    assert (await office.keys.find(made.id)).key.used_at_ms == used_ms


async def test_an_org_sees_its_own_keys_alone(office: Office) -> None:
    """Another org's key is as unknown as one that does not exist, for every wish; and no key is made elsewhere."""
    made = await office.made()
    for key_id in (made.id, "key_nothing"):
        for wish in (
            office.keys.find(key_id, OTHER),
            office.keys.rotate(key_id, 0, OTHER),
            office.keys.revoke(key_id, OTHER),
            office.keys.change(key_id, lambda terms: terms, OTHER),
        ):
            with pytest.raises(SubjectNotFound, match="no such key"):
                await wish
    with pytest.raises(SubjectNotFound, match="no such org"):
        await office.keys.create(org="globex", team=None, name="theirs", by=OTHER)
    assert (await office.keys.page(OTHER, size=10)).keys == ()
    own = await office.keys.create(org="other", team=None, name="own", by=OTHER)
    assert [view.key.id for view in (await office.keys.page(OTHER, size=10)).keys] == [own.id]
    assert office.who(made.secret).key_id == made.id


async def test_keys_come_in_pages(office: Office) -> None:
    """Oldest first, filtered by org, team and state, each once; a cursor that is not there is named."""
    made = [await office.made(f"key{number}") for number in range(5)]
    await office.keys.create(org="globex", team=None, name="bare")
    await office.made(org="other")
    await office.keys.revoke(made[0].id)
    seen: list[str] = []
    after = None
    while True:
        page = await office.keys.page(GLOBEX, team="web", after=after, size=2)
        seen += [view.key.id for view in page.keys]
        if not page.more:
            break
        after = seen[-1]
    assert sorted(seen) == sorted(key.id for key in made)
    revoked = await office.keys.page(GLOBEX, state=KeyState.REVOKED, size=10)
    assert [view.key.id for view in revoked.keys] == [made[0].id]
    assert len((await office.keys.page(GLOBEX, org="other", size=10)).keys) == 0
    with pytest.raises(AdministrationError, match="after"):
        await office.keys.page(GLOBEX, after="key_nothing", size=10)


async def test_no_key_is_made_under_a_disabled_account(office: Office) -> None:
    """It would be refused from its first call on; nothing is left of the try."""
    made = await office.made()
    disabled = Account(org_account_id("globex"), AccountKind.ORG, "globex", disabled=True)
    await office.database.write(Transact(lambda c, at_ms: account_store.put_accounts(c, [disabled], at_ms)))
    with pytest.raises(Conflict, match="org:globex is disabled"):
        await office.keys.create(org="globex", team="new", name="late")
    assert [view.state for view in (await office.keys.page(GLOBEX, size=10)).keys] == [KeyState.DISABLED]
    await office.keys.reload()
    with pytest.raises(KeyDisabled):
        office.who(made.secret)


async def test_the_commands(office: Office) -> None:
    """Set takes `none`, rotate an overlap, list shows state, end, overlap, last use, limits and budgets."""
    made = (
        await office.operator.run("keys create", {"name": "n", "org": "globex", "rpm": "60", "expires": "90d"})
    ).rows[0]
    key_id = str(made["id"])
    office.who(str(made["key"]))
    await office.keys.keep_used()
    changes = {"rpm": "none", "expires": "none", "budgets": "5usd/day,9images/month", "n_max": "2", "response": "task"}
    await office.operator.run("keys set", {"id": key_id, **changes})
    rotated = await office.operator.run("keys rotate", {"id": key_id, "overlap": "1h"})
    assert office.who(str(rotated.rows[0]["key"])) == office.who(str(made["key"]))
    assert "The old one is valid until" in rotated.message
    [row] = (await office.operator.run("keys list", {"org": "globex", "state": "active"})).rows
    assert (row["state"], row["budgets"], row["limits"], row["expires"], row["response"]) == (
        "active", "5usd/day, 9images/month", '{"n_max":2}', None, "task",
    )  # fmt: skip
    assert (row["old_until"], bool(row["used"])) == (rotated.rows[0]["old_until"], True)
    await office.operator.run("keys set", {"id": key_id, "budgets": "none", "n_max": "none", "response": "none"})
    [row] = (await office.operator.run("keys list", {})).rows
    assert (row["budgets"], row["limits"], row["response"]) == ("", None, None)
    assert (row["chooses"], row["cache"]) == ("no", "yes")
    await office.operator.run("keys set", {"id": key_id, "choose_upstream": "yes"})
    assert office.who(str(rotated.rows[0]["key"])).choose_upstream
    await office.operator.run("keys set", {"id": key_id, "rpm": "9"})
    [row] = (await office.operator.run("keys list", {})).rows
    assert row["chooses"] == "yes", "what is not said stays"
    await office.operator.run("keys set", {"id": key_id, "choose_upstream": "no", "cache": "no"})
    assert not office.who(str(rotated.rows[0]["key"])).cache
    await office.operator.run("keys set", {"id": key_id, "rpm": "8"})
    [row] = (await office.operator.run("keys list", {})).rows
    assert row["cache"] == "no", "what is not said stays"
    [change, *_] = await AuditLog(office.database).lines(COMMAND, size=1)
    assert change.details["cache"] is False
    await office.operator.run("keys set", {"id": key_id, "cache": "yes"})
    assert office.who(str(rotated.rows[0]["key"])).cache
    assert not office.who(str(rotated.rows[0]["key"])).choose_upstream
    at_once = await office.operator.run("keys rotate", {"id": key_id, "overlap": "0s"})
    assert at_once.message.endswith("The old one is refused.")


@pytest.mark.parametrize(
    ("command", "arguments", "says"),
    [
        ("keys set", {}, "nothing is to be changed"),
        ("keys set", {"rpm": "0"}, "rpm: '0' is not a whole number"),
        ("keys set", {"response": "video"}, "response: 'video'"),
        ("keys set", {"expires": "soon"}, "expires: 'soon' is no date"),
        ("keys set", {"sizes": "huge"}, "sizes: 'huge' is no size"),
        ("keys set", {"budgets": ",".join(["5usd/day"] * 21)}, "budgets: at most 20"),
        ("keys rotate", {"overlap": "soon"}, "overlap 'soon' is no duration"),
        ("keys rotate", {"overlap": "31d"}, "at most 30 days"),
        ("keys list", {"state": "gone"}, "active, expired, revoked, disabled"),
    ],
)
async def test_wrong_wishes_say_what_is_right(
    office: Office, command: str, arguments: dict[str, str], says: str
) -> None:
    """The option and the remedy; nothing is changed."""
    made = await office.made()
    with pytest.raises(AdministrationError, match=says):
        await office.operator.run(command, {"id": made.id, **arguments})
    assert office.who(made.secret).key_id == made.id


async def test_the_org_and_team_that_a_key_is_made_with(office: Office) -> None:
    """Are in the audit log, each once, by whoever made the key; a team is in its org's time zone, and so is the key."""
    await office.keys.create(org="globex", team="art", name="site")
    tokyo = Account(org_account_id("globex"), AccountKind.ORG, "globex", zone="Asia/Tokyo")
    await office.database.write(Transact(lambda c, at_ms: account_store.put_accounts(c, [tokyo], at_ms)))
    made = await office.keys.create(org="globex", team="print", name="site", by=GLOBEX)
    lines = [line for line in await AuditLog(office.database).lines(GLOBEX, size=10) if line.action == "account.create"]
    assert [(line.actor, line.subject) for line in lines] == [
        ("token:globex", "team:globex/print"), ("command", "team:globex/art"), ("command", "org:globex"),
    ]  # fmt: skip
    zones = {account.id: account.zone for account in await office.database.read(account_store.read_accounts)}
    assert (zones[team_account_id("globex", "print")], zones[made.account]) == ("Asia/Tokyo", "Asia/Tokyo")


async def test_two_processes_make_one_key_once(postgresql_database: str) -> None:
    """At the same moment, under the same name: one of them is told that it is there."""
    clock = ShiftedClock()
    databases = [await opened(postgresql_database) for _ in range(2)]
    both = [Keys(database, Authenticator(PEPPER, clock), PEPPER, clock) for database in databases]
    for round_number in range(5):
        wishes = (keys.create(org="globex", team="web", name=f"twin {round_number}") for keys in both)
        ends = await asyncio.gather(*wishes, return_exceptions=True)
        assert sorted(type(end).__name__ for end in ends) == ["Conflict", "IssuedKey"], ends
    for database in databases:
        await database.close()


async def test_choosing_upstreams_is_not_an_orgs_to_give(office: Office) -> None:
    """It may cost us more than it brings in. An org's token neither makes such a key nor changes one into it, and may change all else of it."""
    chooser = {"choose_upstream": "yes", "name": "chooser", "org": "globex"}
    made = (await office.operator.run("keys create", chooser)).rows[0]
    assert office.who(str(made["key"])).choose_upstream
    with pytest.raises(ScopeMissing):
        await office.made("other", choose_upstream=True, by=GLOBEX)
    plain = await office.made("plain", by=GLOBEX)
    with pytest.raises(ScopeMissing):
        await office.keys.change(plain.id, lambda terms: replace(terms, choose_upstream=True), GLOBEX)
    changed = await office.keys.change(str(made["id"]), lambda terms: replace(terms, rpm=5), GLOBEX)
    assert changed.key.choose_upstream
    assert not office.who(plain.secret).choose_upstream


async def test_a_key_is_made_without_the_cache(office: Office) -> None:
    """By command, or by an org's own token; it is a term like any other, and the default is to share."""
    made = (await office.operator.run("keys create", {"name": "alone", "org": "globex", "cache": "no"})).rows[0]
    assert not office.who(str(made["key"])).cache
    [line, *_] = await AuditLog(office.database).lines(COMMAND, size=1)
    assert (line.action, line.details["cache"]) == ("key.create", False)
    assert not office.who((await office.made("other", cache=False, by=GLOBEX)).secret).cache
    assert office.who((await office.made("plain")).secret).cache


async def test_a_declared_key_follows_the_config(office: Office) -> None:
    """Whether it may choose upstreams and shares pictures, too, and the change is in the audit log."""
    declaring = Declaring(office.database, PEPPER, office.clock)
    for chooses in (False, True, True, False):
        declared = DeclaredKey("globex", None, "ci", "a declared secret", choose_upstream=chooses)
        await declaring.declare([Account(org_account_id("globex"), AccountKind.ORG, "globex")], [], [declared], [])
        await office.keys.reload()
        assert office.who(declared.secret).choose_upstream is chooses
    alone = DeclaredKey("globex", None, "ci", "a declared secret", cache=False)
    await declaring.declare([Account(org_account_id("globex"), AccountKind.ORG, "globex")], [], [alone], [])
    await office.keys.reload()
    assert not office.who(alone.secret).cache
    lines = await AuditLog(office.database).lines(COMMAND, size=20)
    actions = [line.action for line in lines if line.subject.startswith("declared:")]
    assert actions == ["key.change", "key.change", "key.change", "key.create"]
