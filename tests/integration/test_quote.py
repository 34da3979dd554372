"""A quote says what the call would do at that moment: every refusal and every hold is then held against the call itself."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.api.schemas.quote import QuoteAnswer
from tests.emulators import behaviours as b
from tests.integration.conftest import Market
from tests.integration.gateway_app import Answer, House, accounts, dict_of, list_of, serving, write_config


async def quoted(house: House, *, headers: Mapping[str, str] | None = None, **body: object) -> dict[str, object]:
    asked = {"model": "poster", "prompt": "a red fox in fresh snow", **body}
    answer = await house.call("POST", "/v1/images/quote", headers=headers, body=asked)
    assert answer.status == 200, answer.body
    QuoteAnswer.model_validate_json(answer.body)
    return answer.json


async def held(house: House, answer: Answer) -> object:
    """What a call held, as its task says."""
    return dict_of(await house.ended(answer.headers["X-Task-Id"]), "usage")["credits_reserved"]


def reasons(quote: Mapping[str, object]) -> list[tuple[object, object]]:
    """Upstream and why it would be skipped, in order."""
    skipped = [(offer["upstream"], offer["skipped"]) for offer in list_of(quote, "offers")]
    return [(name, why["reason"] if isinstance(why, dict) else None) for name, why in skipped]


async def test_a_quote_names_prices_hold_charge_and_budget(database_url: str, tmp_path: Path, market: Market) -> None:
    """In the order of trying; the worst case of all is held, and the call then holds just that. Nothing of a quote is stored or counted."""
    config = write_config(
        tmp_path, database_url, market.upstreams(), models=market.models(), markup="1.5", accounts=accounts("20usd/day", "3000credits/total", rpm=2)
    )  # fmt: skip
    async with serving(config, market.emulators) as house:
        quote = await quoted(house)
        again = await quoted(house)
        tasks = (await house.get("/v1/tasks")).json
        call = await house.generate("poster")
        hold = await held(house, call)
    assert quote == again
    assert tasks["total"] == 0
    assert list_of(quote, "offers")[0] == {
        "upstream": "cheap", "model": "dall-e-2", "expected_usd": 0.02, "most_usd": 0.02, "skipped": None,
    }  # fmt: skip
    assert reasons(quote) == [("cheap", None), ("middle", None), ("dear", None)]
    assert quote["charge"] == {"rule": "cost", "credits_per_image": None, "markup": 1.5}
    assert quote["hold"] == {"credits": hold, "usd": pytest.approx(0.05271 * 1.5, abs=1e-6), "images": 1}
    left = dict_of(quote, "budget_left")
    assert (left["scope"], left["name"], left["budget"], left["credits"]) == ("key", "ci", "20usd/day", 1440)
    assert isinstance(left["resets_at_ms"], int)
    assert (quote["admitted"], quote["error"]) == (True, None)
    assert call.headers["x-ratelimit-remaining-requests"] == "1"  # quotes did not count


async def test_a_quote_knows_what_would_refuse_the_call(database_url: str, tmp_path: Path, market: Market) -> None:
    """Budget, its own X-Max-Credits, the rate: code and message are those that the call then gets."""
    config = write_config(
        tmp_path, database_url, market.upstreams(), models=market.models(), accounts=accounts("0.03usd/total", rpm=2)
    )
    async with serving(config, market.emulators) as house:
        seen = []
        for headers, n in (
            ({}, 4),
            ({"X-Max-Credits": "1.43"}, 1),
        ):
            quote = await quoted(house, headers=headers, n=n)
            call = await house.generate("poster", headers=headers, n=n)
            assert (quote["admitted"], call.status >= 400) == (False, True)
            error = dict_of(quote, "error")
            assert (error["code"], error["message"]) == (call.error["code"], call.error["message"])
            seen.append(error["code"])
        late = dict_of(await quoted(house), "error")
        refused = await house.generate("poster")
    assert seen == ["insufficient_quota", "max_credits_exceeded"]
    assert (late["code"], refused.error["code"]) == ("rate_limit_exceeded", "rate_limit_exceeded")
    assert market.served == {"cheap": 0, "middle": 0, "dear": 0}


async def test_dear_offers_leave_the_plan_where_budget_or_header_is_too_small(
    database_url: str, tmp_path: Path, market: Market
) -> None:
    """The quote says which and why, and the call holds for those that are left alone."""
    config = write_config(
        tmp_path, database_url, market.upstreams(), models=market.models(), accounts=accounts("0.045usd/total")
    )
    async with serving(config, market.emulators) as house:
        by_budget = await quoted(house)
        by_header = await quoted(house, headers={"X-Max-Credits": "2"})
        call = await house.generate("poster", headers={"X-Max-Credits": "2"})
        hold = await held(house, call)
    assert reasons(by_budget) == [("cheap", None), ("middle", None), ("dear", "over_budget")]
    assert reasons(by_header) == [("cheap", None), ("middle", "over_max_credits"), ("dear", "over_max_credits")]
    assert (by_header["admitted"], dict_of(by_header, "hold")["credits"], hold) == (True, 1.44, 1.44)
    assert call.status == 200


@pytest.mark.parametrize("wrong", ["two", "-1", "1e3", "0.0000001", "", "NaN"])
async def test_a_header_that_is_no_number_is_refused_by_name(
    wrong: str, sqlite_database: str, tmp_path: Path, market: Market
) -> None:
    """In calls of both contracts and in quotes; nothing is held or sent."""
    config = write_config(tmp_path, sqlite_database, market.upstreams(), models=market.models())
    async with serving(config, market.emulators) as house:
        headers = {"X-Max-Credits": wrong}
        answers = [
            await house.generate("poster", headers=headers),
            await house.generate("poster", headers={**headers, "Prefer": "respond-async"}),
            await house.call("POST", "/v1/images/quote", headers=headers, body={"prompt": "a", "model": "poster"}),
        ]
    assert [(answer.status, answer.error["param"]) for answer in answers] == [(400, "X-Max-Credits")] * 3
    assert market.served["cheap"] == 0


async def test_the_limit_of_a_call_holds_in_the_task_contract(
    database_url: str, tmp_path: Path, market: Market
) -> None:
    """400, no retry, with what it would hold; a limit that is just enough lets it through."""
    config = write_config(tmp_path, database_url, market.upstreams(), models=market.models())
    async with serving(config, market.emulators) as house:
        low = await house.generate("poster", headers={"Prefer": "respond-async", "X-Max-Credits": "1.439999"})
        just = await house.generate("poster", headers={"Prefer": "respond-async", "X-Max-Credits": "1.44"})
        ended = await house.ended(just.text("id"))
    assert (low.status, low.error["code"], low.error["type"]) == (400, "max_credits_exceeded", "invalid_request_error")
    assert (low.error["estimated_credits"], low.error["max_credits"]) == (1.44, 1.439999)
    assert low.headers["x-should-retry"] == "false"
    assert (just.status, ended["status"]) == (202, "completed")


async def test_a_quote_shows_open_circuits_and_offers_that_cannot(
    sqlite_database: str, tmp_path: Path, market: Market
) -> None:
    """What cannot make the request stands at the end with its reason; where nothing may be tried, the error is the call's."""
    config = write_config(tmp_path, sqlite_database, market.upstreams(), models=market.models())
    async with serving(config, market.emulators) as house:
        unable = await quoted(house, quality="high")
        market["cheap"].next(*[b.Error(status=401, code="invalid_api_key")])
        await house.generate("poster")
        opened = await quoted(house)
        wrong = await house.call("POST", "/v1/images/quote", body={"prompt": "a", "model": "no such"})
    assert reasons(opened)[0] == ("cheap", "circuit_open")
    assert opened["admitted"] is True
    assert {name for name, _ in reasons(unable)} == {"cheap", "middle", "dear"}
    assert (wrong.status, wrong.error["code"]) == (404, "model_not_found")


async def test_an_orgs_markup_goes_before_the_models_and_the_configs(
    database_url: str, tmp_path: Path, market: Market
) -> None:
    """Held and charged by it, where the model has no fixed charge."""
    models = market.models()
    models["poster"]["markup"] = "1.5"
    declared = accounts()
    declared[0]["markup"] = "2.5"
    config = write_config(tmp_path, database_url, market.upstreams(), models=models, markup="1.2", accounts=declared)
    async with serving(config, market.emulators) as house:
        quote = await quoted(house)
        call = await house.generate("poster")
        ended = await house.ended(call.headers["X-Task-Id"])
    assert dict_of(quote, "charge")["markup"] == 2.5
    assert dict_of(quote, "hold")["credits"] == dict_of(ended, "usage")["credits_reserved"] == 9.4878
    assert dict_of(ended, "usage")["credits_used"] == 3.6  # 0.02 USD × 2.5 × 72
    assert call.headers["X-Credits-Used"] == "3.6"
    assert call.headers["X-Upstream"] == "cheap"
