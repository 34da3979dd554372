"""The whole gateway against each kind of upstream: a picture, and everything that its vendor may say instead, with another upstream behind it."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.routing.health import Circuits
from tests.emulators import behaviours as b
from tests.emulators.base import Emulator
from tests.emulators.openai import OpenAIEmulator
from tests.integration.gateway_app import Answer, House, dict_of, list_of, openai_upstream, serving, write_config
from tests.integration.upstream_sections import SECTIONS, a_section, an_offer
from tests.proofs import Proof

REFUSED, NEXT, UNKNOWN = "refused", "next", "unknown"
ITSELF = ("evolink",)
"""Finds a lost submit again: what nobody knows elsewhere is known there."""
JOBS_END_S = 0.2
"""Jobs of lost submits go on at the vendor, and are billed when they are done."""


@dataclass(frozen=True, slots=True)
class Case:
    """What the vendor does, and what follows: a refusal, a picture of the other upstream, or that nobody knows."""

    behaviour: b.Behaviour
    follows: str

    @property
    def name(self) -> str:
        form = getattr(self.behaviour, "form", "") or getattr(self.behaviour, "code", "")
        return f"{self.behaviour.kind} {form}".strip()


def cases_of(vendor: Emulator) -> Iterator[Case]:
    """Every row of the classification that this vendor's wire can show, in every form."""
    wanted: list[Case] = [Case(b.Refuse(form=form), REFUSED) for form in vendor.refusals]
    wanted += [Case(b.OutOfMoney(code=form), NEXT) for form in vendor.shortages or ("",)]
    wanted += [Case(b.Overloaded(form=form), NEXT) for form in vendor.overloads]
    wanted += [
        Case(b.RateLimit(retry_after="7"), NEXT),
        Case(b.FailTask(), NEXT),
        Case(b.Error(status=401, code="invalid_api_key", message="Incorrect API key provided."), NEXT),
        Case(b.Error(status=400, code="invalid_value", message="Invalid value: 'n'."), NEXT),
        Case(b.Error(status=500, code="server_error"), NEXT),
        Case(b.WrongImage(what="not_an_image"), NEXT),
        Case(b.HtmlError(status=502, bills=True), UNKNOWN),
        Case(b.Reset(), UNKNOWN),
        Case(b.Reset(bills=True), UNKNOWN),
    ]
    return (case for case in wanted if not isinstance(case.behaviour, vendor.unsupported))


@pytest.fixture
def circuits(monkeypatch: pytest.MonkeyPatch) -> list[Circuits]:
    """Those of the gateway, so that a case does not meet the circuits that the one before it opened."""
    made: list[Circuits] = []
    genuine = Circuits.__init__

    def remember(self: Circuits, *args: object, **kwargs: object) -> None:
        genuine(self, *args, **kwargs)  # type: ignore[arg-type]  # whatever the genuine one takes
        made.append(self)

    monkeypatch.setattr(Circuits, "__init__", remember)
    return made


@pytest.mark.parametrize("name", list(SECTIONS))
async def test_a_vendor_in_all_its_moods(
    name: str, sqlite_database: str, tmp_path: Path, circuits: list[Circuits], proof: Proof
) -> None:
    """The picture comes from the cheap vendor while it works; refusals are final, unpaid failures go to the next, doubt is paid for once at most."""
    told: list[str] = []
    doubtful: list[str] = []
    async with SECTIONS[name].make() as vendor, OpenAIEmulator() as backup:
        upstreams = {name: a_section(name, vendor, timeout="5s"), "backup": openai_upstream(backup)}
        offers = [
            an_offer(name),
            {
                "upstream": "backup",
                "model": "gpt-image-2",
                "params": {"quality": "high"},
                "cost": {"formula": "gpt-image-2"},
            },
        ]
        poster = {"prompt_tokens_max": 1000, "sizes": ["1024x1024"], "n": [1], "offers": offers}
        config = write_config(tmp_path, sqlite_database, upstreams, models={"poster": poster})
        async with serving(config, {name: vendor, "backup": backup}) as house:
            await _check_picture(house, name, vendor)
            for case in cases_of(vendor):
                for found in circuits:
                    found._circuits.clear()
                await _check_case(house, name, vendor, backup, case, doubtful)
                told.append(case.name)
            await asyncio.sleep(JOBS_END_S)
            if doubtful and vendor.billed_usd:
                bills = [bill.microusd for bill in vendor.bills if bill.request_id in doubtful]
                house.doubt_billed[name] = sum(bills, Decimal(0))
    proof(
        "vendors",
        f"{name}: a picture, and {len(told)} other answers ({', '.join(dict.fromkeys(case.split()[0] for case in told))})",
    )


async def _check_picture(house: House, name: str, vendor: Emulator) -> None:
    answer = await house.generate("poster", response_format="b64_json")
    assert (answer.status, answer.headers["X-Upstream"]) == (200, name), answer.body[:500]
    (picture,) = list_of(answer.json, "data")
    assert picture["b64_json"]
    assert vendor.billed_images == 1


async def _check_case(
    house: House, name: str, vendor: Emulator, backup: Emulator, case: Case, doubtful: list[str]
) -> None:
    """`doubtful` gets the vendor's ids of requests whose bill nobody knows."""
    vendor_bills, backup_bills = len(vendor.bills), len(backup.bills)
    seen = len(vendor.requests)
    vendor.next(case.behaviour)
    answer = await house.generate("poster", response_format="url")
    vendor_bills, backup_bills = len(vendor.bills) - vendor_bills, len(backup.bills) - backup_bills
    attempts = await _attempts(house, answer)
    context = f"{case.name}: {answer.status} {answer.body[:300]!r} {attempts}"
    if any(attempt["billed"] == "unknown" for attempt in attempts):
        doubtful += [request.id for request in vendor.requests[seen:]]
    match "itself" if case.follows == UNKNOWN and name in ITSELF else case.follows:
        case "refused":
            assert (answer.status, backup_bills) == (400, 0), context
            assert answer.error["code"] in ("moderation_blocked", "content_policy_violation"), context
        case "next":
            assert (answer.status, answer.headers["X-Upstream"], backup_bills) == (200, "backup", 1), context
        case "itself":
            assert (answer.status, answer.headers["X-Upstream"], vendor_bills) == (200, name, 1), context
        case _:
            assert answer.error["code"] == "outcome_unknown", context
            assert (answer.headers["x-should-retry"], backup_bills, vendor_bills <= 1) == ("false", 0, True), context


async def _attempts(house: House, answer: Answer) -> Sequence[dict[str, object]]:
    task = (await house.task(answer.headers["X-Task-Id"])).json
    return list_of(dict_of(task, "routing"), "attempts")
