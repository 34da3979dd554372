"""Accounts by command and config, on both databases: terms, what is declared, what is gone, grants that come twice, and the audit log of it all."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from gateway.administration.account_commands import AccountCommands
from gateway.administration.account_wishes import Wish
from gateway.administration.accounts import Accounts
from gateway.administration.audit_log import AuditLog
from gateway.administration.declared import DeclaredKey, Declaring
from gateway.administration.keys import Keys
from gateway.administration.operator import Operator
from gateway.domain.accounts import ANY, Account, AccountKind, Budget, Limits, Window, parse_budget
from gateway.domain.administrators import COMMAND
from gateway.domain.clock import SystemClock
from gateway.domain.errors import AdministrationError, Conflict, GatewayError, KeyDisabled, SubjectNotFound
from gateway.domain.ids import org_account_id, team_account_id
from gateway.domain.windows import ends_at_ms
from gateway.keys.authenticator import Authenticator
from gateway.ledger.audit import audit
from tests.books import CREDIT, Gateway, accept, new_task, opened

GLOBEX = Account(org_account_id("globex"), AccountKind.ORG, "globex")
ART = Account(team_account_id("globex", "art"), AccountKind.TEAM, "art", GLOBEX.id)
CI = DeclaredKey("globex", "art", "ci", "a declared secret")
OTHERS = replace(COMMAND, name="token:others", org="initech")


@dataclass
class Office:
    database: Gateway
    accounts: Accounts
    keys: Keys
    declaring: Declaring
    authenticator: Authenticator

    async def declare(
        self,
        *accounts: Account,
        keys: tuple[DeclaredKey, ...] = (),
        upstreams: tuple[str, ...] = (),
        budgets: dict[str, Budget] | None = None,
    ) -> None:
        orgs = [account for account in accounts if account.kind is AccountKind.ORG]
        teams = [account for account in accounts if account.kind is AccountKind.TEAM]
        await self.declaring.declare(orgs, teams, keys, upstreams, budgets)
        await self.keys.reload()

    async def trail(self) -> list[tuple[str, str, str]]:
        """Actor, action and subject of every change, oldest first."""
        lines = await AuditLog(self.database).lines(COMMAND, size=1000)
        return [(line.actor, line.action, line.subject) for line in reversed(lines)]

    def limits(self, secret: str) -> dict[str, Limits]:
        return dict(self.authenticator.authenticate(f"Bearer {secret}").limits)


@pytest.fixture
async def office(database_url: str) -> AsyncIterator[Office]:
    database, clock = await opened(database_url), SystemClock()
    authenticator = Authenticator(b"pepper", clock)
    keys = Keys(database, authenticator, b"pepper", clock)
    accounts = Accounts(database, keys.reload, clock, {"gpt-image-2"})
    yield Office(database, accounts, keys, Declaring(database, b"pepper", clock), authenticator)
    assert (await audit(database)).differences == ()
    await database.close()


async def test_limits_change_at_once_for_every_key_below(office: Office) -> None:
    """Each by itself, what is not named stays, and none takes it away; the principals have them when the change returns."""
    issued = await office.keys.create(org="initech", team="web", name="site")
    await office.accounts.change("initech", Wish(rpm=5, sizes=("1:1",)))
    await office.accounts.change("initech", Wish(n_max=2))
    await office.accounts.change("initech/web", Wish(concurrency=3, models=("gpt-image-2",)))
    assert office.limits(issued.secret) == {
        "team:initech/web": Limits(concurrent_tasks=3, models=("gpt-image-2",)),
        "org:initech": Limits(5, sizes=("1:1",), n_max=2),
    }
    await office.accounts.change("initech", Wish(rpm=None, sizes=ANY, n_max=None))
    assert list(office.limits(issued.secret)) == ["team:initech/web"]


async def test_a_disabled_org_or_team_refuses_its_keys(office: Office) -> None:
    """All of them, until it is enabled again; a key has its own way of being refused."""
    of_team = await office.keys.create(org="initech", team="web", name="site")
    of_org = await office.keys.create(org="initech", team=None, name="bare")
    await office.accounts.change("initech/web", Wish(disabled=True))
    with pytest.raises(KeyDisabled):
        office.limits(of_team.secret)
    assert office.limits(of_org.secret) == {}
    await office.accounts.change("initech/web", Wish(disabled=False))
    await office.accounts.change("initech", Wish(disabled=True))
    for secret in (of_team.secret, of_org.secret):
        with pytest.raises(KeyDisabled):
            office.limits(secret)
    with pytest.raises(AdministrationError, match="keys revoke"):
        await office.accounts.change(of_org.account, Wish(disabled=True))
    assert [line for line in await office.trail() if line[1] in ("account.disable", "account.enable")] == [
        ("command", "account.disable", "team:initech/web"),
        ("command", "account.enable", "team:initech/web"),
        ("command", "account.disable", "org:initech"),
    ]


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        (Wish(markup=Decimal(0)), "factor above 0"),
        (Wish(markup=Decimal("NaN")), "factor above 0"),
        (Wish(markup=Decimal("1e-300")), "factor above 0"),
        (Wish(markup=Decimal("1e-999999999999999")), "factor above 0"),  # written out it would fill the memory
        (Wish(rpm=0), "rpm: 0 is not a whole number from 1 to 100000"),
        (Wish(concurrency=10**6), "concurrency"),
        (Wish(n_max=101), "from 1 to 100"),
        (Wish(models=("nosuch",)), "'nosuch'; there are: gpt-image-2"),
        (Wish(sizes=("huge",)), "'huge' is no size"),
        (Wish(zone="Mars"), "'Mars' is no time zone"),
        (Wish(budgets=(parse_budget("1usd/day"),) * 51), "50"),
        (Wish(prepaid=True), "gateway accounts grant"),
    ],
)
async def test_terms_that_cannot_be(office: Office, wish: Wish, says: str) -> None:
    """The error names the field and what may be written; nothing changes."""
    made = await office.accounts.create("initech", None, Wish())
    with pytest.raises(AdministrationError, match=says):
        await office.accounts.change("initech", wish)
    assert await office.accounts.find("initech") == made


@pytest.mark.parametrize(
    ("command", "arguments", "says"),
    [
        ("accounts set", {"name": "initech/web", "markup": "2"}, "only orgs have one"),
        ("accounts set", {"name": "initech", "rpm": "many"}, "`none` takes the limit away"),
        ("accounts set", {"name": "initech", "models": "nosuch"}, "there are: gpt-image-2"),
        ("accounts set", {"name": "initech", "markup": "x"}, "a factor above 0"),
        (
            "accounts set",
            {"name": "nobody", "rpm": "5"},
            "there is no account 'nobody'; `gateway accounts list` shows them",
        ),
        ("accounts show", {"name": "org:nobody"}, "gateway accounts list"),
        ("ledger entries", {"name": "initech", "limit": "x"}, "limit: 'x' is not a whole number"),
    ],
)
async def test_commands_that_cannot_be(office: Office, command: str, arguments: dict[str, str], says: str) -> None:
    """The text names what is wrong and what may be written."""
    await office.accounts.create("initech", "web", Wish())
    with pytest.raises(GatewayError, match=says):
        await Operator(AccountCommands(office.accounts).commands).run(command, arguments)


async def test_only_orgs_have_a_markup(office: Office) -> None:
    """It is kept to the digit, shown, and taken away again; a team has none."""
    await office.accounts.create("initech", "web", Wish())
    assert (await office.accounts.change("initech", Wish(markup=Decimal("1.25")))).markup == Decimal("1.25")
    assert (await office.accounts.state("initech")).account.markup == Decimal("1.25")
    assert (await office.accounts.change("initech", Wish(markup=None))).markup is None
    with pytest.raises(AdministrationError, match="only orgs"):
        await office.accounts.change("initech/web", Wish(markup=Decimal(2)))


async def test_a_change_that_changes_nothing_leaves_no_line(office: Office) -> None:
    """The audit log has the terms that differ, and nothing where none does."""
    await office.accounts.create("initech", "web", Wish(rpm=5))
    before = await office.trail()
    await office.accounts.change("initech/web", Wish(rpm=5, budgets=()))
    assert await office.trail() == before
    await office.accounts.change("initech/web", Wish(budgets=(parse_budget("2usd/day"),)))
    [line] = await AuditLog(office.database).lines(COMMAND, size=1)
    assert (line.action, line.details) == ("account.change", {"budgets": ["2usd/day"]})


async def test_changes_at_the_same_moment_do_not_undo_each_other(office: Office) -> None:
    """Each names one term; afterwards all of them hold."""
    await office.accounts.create("initech", None, Wish())
    wishes = (Wish(rpm=5), Wish(concurrency=6), Wish(n_max=7), Wish(zone="Asia/Tokyo"), Wish(markup=Decimal(2)))
    await asyncio.gather(*(office.accounts.change("initech", wish) for wish in wishes))
    found = await office.accounts.find("initech")
    assert (found.limits, found.zone, found.markup) == (Limits(5, 6, n_max=7), "Asia/Tokyo", Decimal(2))


async def test_each_budget_says_where_it_stands(office: Office) -> None:
    """Used, held, left and when it begins anew, in the account's zone, in the budget's own unit; the granted credits besides."""
    budgets = tuple(map(parse_budget, ("9credits/day", "3images/month", "1usd/total")))
    await office.accounts.change("team:acme/design", Wish(budgets=budgets, zone="Asia/Tokyo"))
    await office.accounts.grant("acme/design", 20 * CREDIT, "to try")
    now_ms = SystemClock().now_ms()
    await office.database.write(accept(replace(new_task(), created_at_ms=now_ms), 2))
    state = await office.accounts.state("acme/design")
    day, month, total = state.budgets
    assert (day.used, day.held, day.left) == (0, 2 * CREDIT, 7 * CREDIT)
    assert month.held + month.left == 3
    assert day.resets_at_ms == ends_at_ms(Window.DAY, now_ms, "Asia/Tokyo")
    assert total.resets_at_ms is None
    assert (state.granted_microcredits, state.prepaid_left_microcredits) == (20 * CREDIT, 18 * CREDIT)


async def test_what_is_declared_is_changed_in_the_config(office: Office) -> None:
    """Terms are refused with where to change them; grants, and ending to be prepaid, are not the config's."""
    await office.declare(GLOBEX, ART, keys=(CI,))
    for name in ("globex", "globex/art", CI.account.id):
        with pytest.raises(Conflict, match="declared in the config: change it there"):
            await office.accounts.change(name, Wish(rpm=5))
    await office.accounts.grant("globex/art", 5 * CREDIT, "to try")
    assert (await office.accounts.change("globex/art", Wish(prepaid=False))).prepaid is False
    await office.accounts.create("globex", "made", Wish(rpm=5))
    assert (await office.accounts.change("globex/made", Wish(rpm=6))).limits.requests_per_minute == 6


async def test_what_is_gone_from_the_config_is_disabled_until_it_comes_back(office: Office) -> None:
    """Its money stays; what was made by command is never touched, though what stands below a gone org is refused with it."""
    made = await office.keys.create(org="initech", team=None, name="bare")
    below = await office.keys.create(org="globex", team="art", name="by-command")
    await office.declare(GLOBEX, ART, keys=(CI,))
    await office.accounts.grant("globex/art", 5 * CREDIT, "to try")
    await office.declare(GLOBEX)
    assert office.limits(made.secret) == {}
    for secret in (CI.secret, below.secret):
        with pytest.raises((KeyDisabled, Exception), match=r"disabled|not known"):
            office.limits(secret)
    gone = await office.accounts.state("globex/art")
    assert (gone.account.disabled, gone.account.prepaid, gone.granted_microcredits) == (True, True, 5 * CREDIT)
    await office.declare(GLOBEX, ART, keys=(CI,))
    assert office.limits(CI.secret) == office.limits(below.secret) == {}
    back = await office.accounts.state("globex/art")
    assert (back.account.disabled, back.granted_microcredits) == (False, 5 * CREDIT)


async def test_what_is_gone_from_the_config_may_be_taken_over(office: Office) -> None:
    """Whoever enables it by command has it from then on: the config, which does not name it, leaves it alone."""
    await office.declare(GLOBEX, ART)
    await office.declare(GLOBEX)
    taken = await office.accounts.change("globex/art", Wish(disabled=False, rpm=9))
    assert (taken.disabled, taken.declared, taken.limits.requests_per_minute) == (False, False, 9)
    await office.declare(GLOBEX)
    assert await office.accounts.find("globex/art") == taken


async def test_the_config_writes_down_what_it_really_changed(office: Office) -> None:
    """Once, as `config`; declaring the same again leaves no line, whoever does it."""
    await office.declare(GLOBEX, ART, keys=(CI,), upstreams=("openai",))
    assert await office.trail() == [
        ("config", "account.create", "org:globex"),
        ("config", "account.create", "team:globex/art"),
        ("config", "account.create", "key:globex/art/ci"),
        ("config", "key.create", "declared:key:globex/art/ci"),
    ]
    await office.declare(GLOBEX, ART, keys=(CI,), upstreams=("openai",))
    changed = replace(ART, budgets=(parse_budget("5usd/day"),), zone="Asia/Tokyo")
    rotated = replace(CI, secret="a rotated secret")
    await office.declare(replace(GLOBEX, markup=Decimal("1.1")), changed, keys=(rotated,))
    await office.declare(replace(GLOBEX, markup=Decimal("1.10")), changed, keys=(rotated,))
    await office.declare(GLOBEX)
    await office.declare(GLOBEX)
    trail = (await office.trail())[4:]
    assert trail[:3] == [
        ("config", "account.change", "org:globex"),
        ("config", "account.change", "team:globex/art"),
        ("config", "key.rotate", "declared:key:globex/art/ci"),
    ]
    assert sorted(trail[3:]) == [
        ("config", "account.change", "key:globex/art/ci"),
        ("config", "account.change", "org:globex"),
        ("config", "account.disable", "team:globex/art"),
        ("config", "key.revoke", "declared:key:globex/art/ci"),
    ]
    details = [line.details for line in await AuditLog(office.database).lines(COMMAND, size=6)]
    assert details[-1] == {"budgets": ["5usd/day"], "timezone": "Asia/Tokyo"}


async def test_two_that_declare_at_once_leave_one_line(office: Office) -> None:
    """The second waits for the first, and finds nothing to do."""
    await asyncio.gather(*(office.declare(GLOBEX, ART, keys=(CI,)) for _ in range(4)))
    assert len(await office.trail()) == 4


async def test_upstreams_get_their_budgets_from_the_config(office: Office) -> None:
    """Set, changed and taken away with it, in UTC; by command they are not to be changed."""
    budget = parse_budget("500usd/month")
    await office.declare(upstreams=("openai", "evolink"), budgets={"openai": budget})
    state = await office.accounts.state("upstream:openai")
    assert (state.account.budgets, state.account.zone) == ((budget,), "UTC")
    assert (await office.accounts.find("upstream:evolink")).budgets == ()
    with pytest.raises(Conflict, match=r"change upstreams\.openai\.budget there"):
        await office.accounts.change("upstream:openai", Wish(budgets=()))
    await office.declare(upstreams=("openai", "evolink"), budgets={})
    assert (await office.accounts.find("upstream:openai")).budgets == ()
    lines = [line for line in await office.trail() if line[2].startswith("upstream:openai")]
    assert lines == [("config", "account.change", "upstream:openai")] * 2


async def test_a_grant_with_an_id_is_granted_once(office: Office) -> None:
    """Five at once and one later: one of them is booked, and the others say so. Another amount under the id is a conflict."""
    await office.accounts.create("initech", None, Wish())
    answers = await asyncio.gather(
        *(office.accounts.grant("initech", 5 * CREDIT, "once", grant_id="invoice 7") for _ in range(5))
    )
    assert sorted(answer.repeated for answer in answers) == [False, True, True, True, True]
    later = await office.accounts.grant("initech", 5 * CREDIT, "once", grant_id="invoice 7")
    assert (later.repeated, later.left_microcredits) == (True, 5 * CREDIT)
    with pytest.raises(Conflict, match="was used for 5 credits"):
        await office.accounts.grant("initech", 6 * CREDIT, "once", grant_id="invoice 7")
    with pytest.raises(AdministrationError, match="1 to 255"):
        await office.accounts.grant("initech", 6 * CREDIT, "once", grant_id="x" * 256)
    await office.accounts.create("hooli", None, Wish())
    assert not (await office.accounts.grant("hooli", 6 * CREDIT, "its own", grant_id="invoice 7")).repeated
    assert [line for line in await office.trail() if line[1] == "account.grant"] == [
        ("command", "account.grant", "org:initech"), ("command", "account.grant", "org:hooli"),
    ]  # fmt: skip


async def test_a_refused_grant_leaves_its_id_free(office: Office) -> None:
    """What was not granted may be tried again under the same id."""
    await office.accounts.create("initech", None, Wish())
    await office.accounts.grant("initech", 5 * CREDIT, "to try")
    with pytest.raises(AdministrationError, match="was not granted so much"):
        await office.accounts.grant("initech", -6 * CREDIT, "too much", grant_id="a")
    assert not (await office.accounts.grant("initech", -5 * CREDIT, "all", grant_id="a")).repeated


@pytest.mark.parametrize("range_rows", [1, 2, 20_000])
async def test_entries_are_read_backwards(office: Office, monkeypatch: pytest.MonkeyPatch, range_rows: int) -> None:
    """Newest first, of this account alone, page by page by the cursor, until none is older; a task's alone where that is asked."""
    monkeypatch.setattr("gateway.ledger.entries.RANGE_ROWS", range_rows)
    tasks = [new_task() for _ in range(3)]
    for task in tasks:
        await office.database.write(accept(task, 1))
    await office.accounts.grant("acme", 9 * CREDIT, "a gift")
    seen: list[tuple[str, str | None]] = []
    before = 2**62
    for _ in range(100):
        page = await office.accounts.entries("acme", before=before, size=2)
        assert len(page.entries) <= 2
        seen += [(item.entry.kind, item.entry.task_id or item.entry.note) for item in page.entries]
        if page.before is None:
            break
        before = page.before
    opening = ("adjust", "used before it was prepaid")
    assert seen == [("grant", "a gift"), opening, *(("hold", task.id) for task in reversed(tasks))]
    found = await office.accounts.entries("acme", task=tasks[1].id, size=100)
    for _ in range(100):
        if found.entries or found.before is None:
            break
        found = await office.accounts.entries("acme", task=tasks[1].id, before=found.before, size=100)
    assert [item.entry.task_id for item in found.entries] == [tasks[1].id]


async def test_accounts_are_listed_page_by_page(office: Office) -> None:
    """By id, each once; of one org, or of one kind; an org whose name begins another's is not mixed up with it."""
    for org, team in (("a", "x"), ("a", "y"), ("ab", "x"), ("A", "z")):
        await office.accounts.create(org, team, Wish())
    everything = [item.account.id for item in await office.accounts.page(size=1000)]
    paged: list[str] = []
    while True:
        page = await office.accounts.page(after=paged[-1] if paged else "", size=3)
        paged += [item.account.id for item in page]
        if len(page) < 3:
            break
    assert paged == everything
    assert {item.account.id for item in await office.accounts.page(org="a", size=9)} == {
        "org:a",
        "team:a/x",
        "team:a/y",
    }
    teams = await office.accounts.page(org="a", kind=AccountKind.TEAM, size=9)
    assert sorted(item.account.id for item in teams) == ["team:a/x", "team:a/y"]


async def test_an_orgs_administrator_sees_and_changes_that_org_alone(office: Office) -> None:
    """Whatever else there is answers as what there is not."""
    await office.accounts.create("globex", "art", Wish())
    await office.accounts.create("initech", "web", Wish(), OTHERS)
    for name in ("globex", "globex/art", "upstream:openai", "ours", "org:nobody"):
        with pytest.raises(SubjectNotFound, match=r"^There is no such account\.$"):
            await office.accounts.change(name, Wish(rpm=1), OTHERS)
        with pytest.raises(SubjectNotFound, match=r"^There is no such account\.$"):
            await office.accounts.grant(name, CREDIT, "mine", by=OTHERS)
        with pytest.raises(SubjectNotFound, match=r"^There is no such account\.$"):
            await office.accounts.entries(name, OTHERS, size=1)
    for org in ("globex", "new"):
        with pytest.raises(SubjectNotFound, match=r"^There is no such org\.$"):
            await office.accounts.create(org, None, Wish(), OTHERS)
    seen = [item.account.id for item in await office.accounts.page(OTHERS, size=9)]
    assert sorted(seen) == ["org:initech", "team:initech/web"]
    assert await office.accounts.page(OTHERS, org="globex", size=9) == []
