"""What was made, charged and paid, as the daily sums tell it; the sums are held against the ledger at the end of every test of the whole gateway."""

import asyncio
import csv
import io
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.api.schemas.admin_usage import UsageAnswer
from tests.emulators import behaviours as b
from tests.integration.conftest import Market
from tests.integration.gateway_app import OTHER_KEY, Answer, House, accounts, list_of, serving, write_config

ADMIN = "an admin token of the config"


async def usage(house: House, query: str = "", *, key: str = ADMIN) -> Answer:
    answer = await house.get(f"/admin/v1/usage{query}", key=key)
    assert answer.status == 200, answer.body
    if "format=csv" not in query:
        UsageAnswer.model_validate_json(answer.body)
    return answer


async def lines(house: House, query: str, *names: str) -> dict[tuple[object, ...], dict[str, object]]:
    """The lines of a report by their names."""
    return {tuple(line[name] for name in names): line for line in list_of((await usage(house, query)).json, "data")}


def figures(line: Mapping[str, object]) -> tuple[object, ...]:
    return tuple(line[name] for name in ("tasks", "failed", "images", "credits", "paid_usd", "routing_saved_usd"))


async def test_usage_says_who_made_what_and_what_it_cost(database_url: str, tmp_path: Path, market: Market) -> None:
    """By key, model and upstream: pictures, credits, what we paid and lost, and what the cheapest offer saved against the dearest."""
    config = write_config(tmp_path, database_url, market.upstreams(), models=market.models(), admin_token=ADMIN)
    async with serving(config, market.emulators) as house:
        assert (await house.generate("poster")).status == 200
        market["cheap"].next(b.WrongImage())  # billed, and nothing came: our loss at cheap, the picture from middle
        assert (await house.generate("poster")).status == 200
        market["cheap"].next(b.Refuse())
        assert (await house.generate("poster", key=OTHER_KEY)).status == 400
        by_key = await lines(house, "?by=key", "org", "team", "key")
        by_upstream = await lines(house, "?by=upstream,model", "upstream", "model")
        [total] = list_of((await usage(house)).json, "data")
        saved = await house.metric("gateway_savings_usd_total", by="routing")
    # Dear would have cost 0.05271: 0.03271 more than cheap, 0.01271 more than middle.
    assert figures(by_key["acme", "design", "ci"]) == (2, 0, 2, 4.32, 0.08, 0.04542)
    assert figures(by_key["acme", "", "other"])[:4] == (1, 1, 0, 0)
    assert figures(by_upstream["middle", "poster"]) == (1, 0, 1, 2.88, 0.04, 0.01271)
    assert figures(by_upstream["cheap", "poster"])[:4] == (1, 0, 1, 1.44)
    assert figures(by_upstream["", "poster"])[:3] == (1, 1, 0)
    assert figures(total)[:4] == (3, 1, 2, 4.32)
    assert saved == pytest.approx(0.04542)


async def test_two_upstreams_share_one_task_exactly(database_url: str, tmp_path: Path, market: Market) -> None:
    """Three of four pictures from one, one from another: each has its cost and its part of the charge, and the task counts once."""
    config = write_config(tmp_path, database_url, market.upstreams(), models=market.models(), admin_token=ADMIN)
    async with serving(config, market.emulators) as house:
        market["cheap"].next(b.Error())
        assert (await house.generate("poster", n=4)).status == 200
        found = await lines(house, "?by=upstream", "upstream")
    assert figures(found["cheap",])[:5] == (1, 0, 3, 4.32, 0.06)
    assert figures(found["middle",])[:5] == (0, 0, 1, 2.88, 0.04)


async def test_a_report_is_filtered_and_grouped_by_several_names(
    database_url: str, tmp_path: Path, market: Market
) -> None:
    """Days, both ends included; org, team, key and model; nothing where nothing matches, and 400 for what is no day or no dimension."""
    config = write_config(tmp_path, database_url, market.upstreams(), models=market.models(), admin_token=ADMIN)
    async with serving(config, market.emulators) as house:
        await house.generate("poster")
        await house.generate("poster", key=OTHER_KEY)
        [line] = list_of((await usage(house, "?by=day&by=team")).json, "data")[:1]
        day = str(line["day"])
        counts = {
            query: len(list_of((await usage(house, f"?by=key&{query}")).json, "data"))
            for query in (
                f"since={day}", f"until={day}", "since=2999-01-01", "until=1999-12-31", "org=acme", "org=globex", "team=design", "key=other",
                "model=poster", "model=no",
            )
        }  # fmt: skip
        empty = list_of((await usage(house, "?org=globex")).json, "data")
        bad = [
            await house.get(f"/admin/v1/usage?{query}", key=ADMIN)
            for query in ("by=cost", "since=yesterday", "until=2026-13-01", "format=xml", "since=2026-02-01&until=2026-01-01", "org=%00")
        ]  # fmt: skip
    assert list(line)[:3] == ["day", "org", "team"]
    assert list(counts.values()) == [2, 2, 0, 0, 2, 0, 1, 1, 2, 0]
    assert [figures(one) for one in empty] == [(0, 0, 0, 0, 0, 0)]
    assert [(answer.status, answer.error["param"]) for answer in bad] == [
        (400, "by"), (400, "since"), (400, "until"), (400, "format"), (400, "since"), (400, "org"),
    ]  # fmt: skip


async def test_an_orgs_token_sees_the_usage_of_its_org_alone(database_url: str, tmp_path: Path, market: Market) -> None:
    """Another org's usage is to it what an org's is that does not exist: none."""
    more = {"org": "globex", "keys": [{"name": "far", "secret": "a key of another org"}]}
    config = write_config(
        tmp_path, database_url, market.upstreams(), models=market.models(), admin_token=ADMIN, accounts=[*accounts(), more]
    )  # fmt: skip
    async with serving(config, market.emulators) as house:
        body = {"name": "finance", "scopes": ["read"], "org": "globex"}
        token = (await house.call("POST", "/admin/v1/tokens", key=ADMIN, body=body)).text("secret")
        await house.generate("poster")
        await house.generate("poster", key="a key of another org")
        own = list_of((await usage(house, "?by=org", key=token)).json, "data")
        foreign, unknown = [(await usage(house, f"?by=org&org={org}", key=token)).body for org in ("acme", "nobody")]
    assert [line["org"] for line in own] == ["globex"]
    assert foreign == unknown


async def test_csv_is_for_spreadsheets(database_url: str, tmp_path: Path, market: Market) -> None:
    """A header row and CRLF, a file's name, plain numbers, and no cell that a spreadsheet would calculate."""
    formula = {"org": "=1+1", "keys": [{"name": '@SUM(A1),"x"', "secret": "a key with a name"}]}
    config = write_config(
        tmp_path, database_url, market.upstreams(), models=market.models(), admin_token=ADMIN, accounts=[*accounts(), formula]
    )  # fmt: skip
    async with serving(config, market.emulators) as house:
        await house.generate("poster", key="a key with a name")
        answer = await usage(house, "?by=key&format=csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="usage.csv"'
    text = answer.body.decode()
    assert text.count("\r\n") == text.count("\n") == 2
    header, row = csv.reader(io.StringIO(text))
    assert header == [
        "org", "team", "key", "tasks", "failed", "images", "credits", "charged_usd", "paid_usd", "cache_hits", "cache_saved_usd",
        "routing_saved_usd",
    ]  # fmt: skip
    assert row == ["'=1+1", "", '\'@SUM(A1),"x"', "1", "0", "1", "1.44", "0.02", "0.02", "0", "0", "0.03271"]


@pytest.mark.parametrize("callers", [True, False])
async def test_callers_are_told_apart_by_a_keyed_hash(
    callers: bool, database_url: str, tmp_path: Path, market: Market
) -> None:
    """`safety_identifier`, else `user`; only where the config wants it, and never as it was sent."""
    config = write_config(
        tmp_path, database_url, market.upstreams(), models=market.models(), admin_token=ADMIN, usage={"callers": callers}
    )  # fmt: skip
    async with serving(config, market.emulators) as house:
        await asyncio.gather(
            house.generate("poster", user="alice@example.com"),
            house.generate("poster", user="alice@example.com", safety_identifier="b-17"),
            house.generate("poster", safety_identifier="alice@example.com"),
            house.generate("poster"),
        )
        found = await lines(house, "?by=caller", "caller")
        log = house.log_lines()
    names = sorted(str(name) for (name,) in found)
    assert b"alice" not in log
    if not callers:
        assert names == [""]
        return
    assert len(names) == 3
    assert names[0] == ""
    assert all(len(name) == 16 and int(name, 16) >= 0 for name in names[1:])
    assert sorted(int(str(line["tasks"])) for line in found.values()) == [1, 1, 2]
