"""Who pays in the tests with many clients, and how much may be spent. Pure: every process of a run makes the same world from the same numbers.

Eight orgs, each with two teams, two keys a team and one key of its own, and with budgets that the clients come near to at every level. Four orgs
keep their budgets, two get more from time to time, two have theirs lowered and raised, also below what is used. The keys of their own pay before:
those of two orgs get more from time to time, those of two lose some, too. Of the upstreams one has a budget of its own that is only ever raised.
"""

from dataclasses import dataclass
from enum import StrEnum
from random import Random

from gateway.domain.accounts import Account, AccountKind, Budget, Unit, Window
from gateway.domain.ids import (
    OURS_ACCOUNT_ID,
    AccountId,
    key_account_id,
    org_account_id,
    team_account_id,
    upstream_account_id,
)
from gateway.domain.money import Amount

CREDIT = 1_000_000
UPSTREAMS = ("north", "south")
BOUNDED, BOUNDED_FIRST = "south", Budget(2 * CREDIT, Unit.USD, Window.DAY)
"""The upstream with a budget of its own, and what it begins with: two dollars a day."""
PREPAID_FIRST = 30 * CREDIT
ORGS = 8
LOWERED_CEILING = 400 * CREDIT
"""No budget that is lowered and raised was ever above."""


class Rule(StrEnum):
    """What happens to an org's budgets during a run."""

    FIXED = "fixed"
    RAISED = "raised"
    LOWERED = "lowered"


def rule_of(org: int) -> Rule:
    return (Rule.FIXED, Rule.RAISED, Rule.FIXED, Rule.LOWERED)[org % 4]


@dataclass(frozen=True, slots=True)
class Org:
    """One org with everything below it. `paths` are what a call is charged along, by key."""

    number: int
    rule: Rule
    accounts: tuple[Account, ...]
    paths: tuple[tuple[AccountId, ...], ...]

    @property
    def prepaid(self) -> AccountId:
        """Its key that pays before."""
        return self.paths[-1][0]


def amount_of(microcredits: int) -> Amount:
    """What so many credits count for in all three units; the rate is 72."""
    return Amount(microcredits, microcredits // 72, 1)


def org_of(number: int, limits: Random) -> Org:
    """An org by its number, with budgets drawn from `limits`."""
    name, rule = f"org{number}", rule_of(number)
    org = org_account_id(name)

    def budgets(least: int, most: int, unit: Unit = Unit.CREDITS) -> tuple[Budget, ...]:
        size = limits.randint(least, most)
        return (Budget(size if unit is Unit.IMAGES else size * CREDIT, unit),)

    accounts = [Account(org, AccountKind.ORG, name, None, budgets(100, 300))]
    paths: list[tuple[AccountId, ...]] = []
    for team_name in ("red", "blue"):
        team = team_account_id(name, team_name)
        accounts.append(Account(team, AccountKind.TEAM, team_name, org, budgets(60, 200)))
        for key_name in ("one", "two"):
            key = key_account_id(name, team_name, key_name)
            unit = Unit.IMAGES if key_name == "two" and rule is Rule.FIXED else Unit.CREDITS
            own = budgets(300, 900, unit) if unit is Unit.IMAGES else budgets(40, 150)
            accounts.append(Account(key, AccountKind.KEY, key_name, team, own))
            paths.append((key, team, org))
    lone = key_account_id(name, None, "lone")
    accounts.append(Account(lone, AccountKind.KEY, "lone", org, ()))
    paths.append((lone, org))
    return Org(number, rule, tuple(accounts), tuple(paths))


def orgs(seed: int) -> tuple[Org, ...]:
    limits = Random(seed)
    return tuple(org_of(number, limits) for number in range(ORGS))


def own_books() -> tuple[Account, ...]:
    """The accounts of what we pay."""
    return (
        Account(OURS_ACCOUNT_ID, AccountKind.OURS, "ours"),
        *(
            Account(
                upstream_account_id(name),
                AccountKind.UPSTREAM,
                name,
                budgets=(BOUNDED_FIRST,) if name == BOUNDED else (),
            )
            for name in UPSTREAMS
        ),
    )


@dataclass(frozen=True, slots=True)
class Round:
    """Calls that all hold the same and compete for a budget of exactly `fits` of them, on accounts that nobody used before.

    Each wants to send one attempt at `upstream`, whose own budget has room for exactly `sends`.
    """

    number: int
    fits: int
    calls_a_client: int
    hold: Amount
    accounts: tuple[Account, ...]
    paths: tuple[tuple[AccountId, ...], ...]
    sends: int

    @property
    def upstream(self) -> str:
        return f"round{self.number}"


SEND_MICROUSD = 1_000


def round_of(seed: int, number: int, clients: int) -> Round:
    """The budget stands at the org, a team or a key, in credits, USD or images; more calls come than fit."""
    random = Random(f"{seed}/{number}")
    calls_a_client = random.randint(1, 3)
    fits = random.randint(1, clients * calls_a_client - 1)
    hold = amount_of(random.randint(1, 9 * CREDIT))
    unit, level = Unit(random.choice(list(Unit))), random.choice((AccountKind.ORG, AccountKind.TEAM, AccountKind.KEY))
    # A rest that is one short of another hold must admit nobody.
    limit = (Budget(unit.of(hold) * fits + (unit.of(hold) - 1), unit),)
    name = f"round{number}"
    org, teams = org_account_id(name), [team_account_id(name, team) for team in ("red", "blue")]
    keys = [key_account_id(name, team, key) for team in ("red", "blue") for key in ("one", "two")]
    accounts = [
        Account(org, AccountKind.ORG, name, None, limit if level is AccountKind.ORG else ()),
        *(
            Account(team, AccountKind.TEAM, team[-4:], org, limit if level is AccountKind.TEAM else ())
            for team in teams
        ),
        *(
            Account(key, AccountKind.KEY, key[-3:], teams[index // 2], limit if level is AccountKind.KEY else ())
            for index, key in enumerate(keys)
        ),
    ]
    paths = [(key, teams[index // 2], org) for index, key in enumerate(keys)]
    shared = {AccountKind.ORG: paths, AccountKind.TEAM: paths[:2], AccountKind.KEY: paths[:1]}[level]
    sends = random.randint(0, fits + 5)
    room = (Budget(SEND_MICROUSD * sends + SEND_MICROUSD - 1, Unit.USD, random.choice((Window.MONTH, Window.TOTAL))),)
    accounts.append(Account(upstream_account_id(name), AccountKind.UPSTREAM, name, budgets=room))
    return Round(number, fits, calls_a_client, hold, tuple(accounts), tuple(shared), sends)
