"""What check-config and `gateway catalog check` say about a catalogue: losses, sizes nobody makes, what is not served, prices of unknown origin."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app
from gateway.config import Config, load
from gateway.config_findings import Finding, PriceOrigin, findings_of_origins
from tests.unit.config_files import SHIPPED, SetClock, read, write

ORIGIN = {"source": "the price list", "as_of": "2026-11-23"}
SIZES = ["1024x1024", "1536x1024"]
RANGE = {"multiple_of": 16, "ratio_max": 3, "edge_max": 3840, "area_min": 655_360, "area_max": 8_294_400}
TOKENS = {"text_in": 5, "image_in": 8, "image_out": 30}
Fields = Mapping[str, object]


def model(*costs: Fields, **more: object) -> dict[str, object]:
    """A model made by an upstream of kind openai, one offer a cost."""
    offers = [{"upstream": "vendor", "model": "gpt-image-2", "cost": {**ORIGIN, **cost}} for cost in costs]
    return {"prompt_tokens_max": 9, "sizes": SIZES, "offers": offers, **more}


def settings(models: Mapping[str, Fields], **more: object) -> str:
    """A config of these models alone, with an upstream of kind openai that is on."""
    vendor = {"kind": "openai", "api_key": "x"}
    return json.dumps(  # noqa: TID251 - YAML is a superset of JSON
        {"catalog": "empty.yaml", "models": models, "aliases": {}, "upstreams": {"vendor": vendor}, **more}
    )


def config_of(folder: Path, models: Mapping[str, Fields], **more: object) -> Config:
    write(folder, "models: {}", "empty.yaml")
    return read(folder, settings(models, **more))


def texts(config: Config) -> list[str]:
    return [finding.text for finding in config.findings]


CHARGE = {"credits": "1.5"}
"""0.020833 USD at 72 credits a dollar."""
OFFER = "vendor/gpt-image-2"
TABLE = [
    {"size": "1024x1024", "quality": "low", "usd": 0.005},
    {"size": "1024x1024", "quality": "medium", "usd": 0.03},
    {"size": "1536x1024", "quality": "low", "usd": 0.006},
    {"size": "1536x1024", "quality": "medium", "usd": 0.05},
]


@pytest.mark.parametrize(
    ("cost", "more", "loss"),
    [
        ({"per_image_usd": "0.0208"}, {}, None),
        ({"per_image_usd": "0.0209"}, {}, "0.0209 USD a picture of 1024x1024 at quality low"),
        ({"per_megapixel_usd": "0.013"}, {}, None),
        ({"per_megapixel_usd": "0.015"}, {}, "0.023593 USD a picture of 1536x1024 at quality low"),
        ({"table": TABLE}, {"qualities": ["low"]}, None),
        ({"table": TABLE}, {"qualities": ["low", "medium"]}, "0.05 USD a picture of 1536x1024 at quality medium"),
        ({"table": TABLE}, {"qualities": ["auto"]}, "0.05 USD a picture of 1536x1024 at quality auto"),
        ({"formula": "gpt-image-2"}, {"qualities": ["low"]}, None),
        ({"formula": "gpt-image-2"}, {}, "0.21072 USD a picture of 1024x1024 at quality high"),
        ({"formula": "gpt-image-2"}, {"sizes": ["auto"], "qualities": ["auto"]}, "0.21072 USD a picture of auto at quality auto"),
        ({"formula": "gpt-image-2"}, {"size_range": RANGE, "qualities": ["low"], "charge": {"credits": 1}},
         "0.01977 USD a picture of 2880x2880 at quality low"),
        ({"table": [*TABLE, {"size": "2048x2048", "quality": "low", "usd": 0.09}]}, {"size_range": RANGE, "qualities": ["low"]},
         "0.09 USD a picture of 2048x2048 at quality low"),
        ({"tokens": {**TOKENS, "image_out_tokens_max": 690}}, {}, None),
        ({"tokens": {**TOKENS, "image_out_tokens_max": 1000}}, {}, "0.03 USD a picture of 1024x1024 at quality low"),
    ],
)  # fmt: skip
def test_an_offer_dearer_than_the_charge_is_named(
    tmp_path: Path, cost: Fields, more: Mapping[str, object], loss: str | None
) -> None:
    """Whatever the form of the price: with the worst of all sizes and qualities, once an offer, and not at all where every picture is paid for."""
    found = texts(config_of(tmp_path, {"m": model(cost, **{"charge": CHARGE, **more})}))
    losses = [text for text in found if "fixed charge" in text]
    if loss is None:
        assert losses == []
    else:
        [text] = losses
        assert text.startswith(f"model m: {OFFER} costs {loss}, the fixed charge of ")


def test_a_markup_below_1_is_named_with_what_it_sells(tmp_path: Path) -> None:
    """Of an org, a model and the config, for models without a fixed charge; 1 and more are fine."""
    models = {
        "fixed": model({"per_image_usd": 0.01}, charge=CHARGE),
        "own": model({"per_image_usd": 0.01}, markup="0.5"),
        "plain": model({"per_image_usd": 0.01}),
    }
    orgs = [{"org": "cheap", "markup": "0.9"}, {"org": "fair", "markup": "1"}]
    config = config_of(tmp_path, models, markup="0.8", accounts=orgs)
    found = [finding for finding in config.findings if "a markup of" in finding.text]
    assert [finding.text.partition(" charges")[0] for finding in found] == [
        "org cheap: a markup of 0.9", "model own: a markup of 0.5", "the config: a markup of 0.8",
    ]  # fmt: skip
    assert [finding.text.rpartition("every offer of ")[2] for finding in found] == ["own, plain", "own", "plain"]
    assert all(finding.warning for finding in found)
    assert all(finding.text in config.notes for finding in found)


def test_a_fixed_quality_is_what_an_offer_costs(tmp_path: Path) -> None:
    """Of two offers only the one with the dear quality loses, and its own quality is named, not the caller's."""
    cheap, dear = (
        {"upstream": "vendor", "model": "gpt-image-2", "params": {"quality": quality}, "cost": {**ORIGIN, "formula": "gpt-image-2"}}
        for quality in ("low", "medium")
    )  # fmt: skip
    config = config_of(tmp_path, {"m": model(charge=CHARGE, offers=[cheap, dear])})
    [text] = texts(config)
    assert text == (
        f"model m: {OFFER}#2 costs 0.05268 USD a picture of 1024x1024 at quality medium, "
        "the fixed charge of 1.5 credits brings in 0.020833 USD"
    )
    assert text in config.notes
    assert texts(config_of(tmp_path, {"m": model(offers=[cheap, dear])})) == []  # actual cost is passed on


def test_sizes_and_qualities_that_no_offer_makes_are_named(tmp_path: Path) -> None:
    """A size without any price, and one without a price at one quality; an offer that has them mends both."""
    rows = [{"size": "1024x1024", "usd": 0.01}, {"size": "1536x1024", "quality": "low", "usd": 0.01}]
    listed = {"sizes": [*SIZES, "1024x1536"], "qualities": ["low", "high"]}
    assert texts(config_of(tmp_path, {"m": model({"table": rows}, **listed)})) == [
        "model m: none of its offers that are on makes 1024x1536",
        "model m: none of its offers that are on makes 1536x1024 at quality high",
    ]
    assert texts(config_of(tmp_path, {"m": model({"table": rows}, {"per_image_usd": 1}, **listed)})) == []


def test_what_an_upstream_cannot_do_counts() -> None:
    """The shipped catalogue with EvoLink alone: the sizes for which only OpenAI has a price cannot be had, and that is said."""
    environ = {"EVOLINK_API_KEY": "x"}
    found = texts(load(SHIPPED / "gateway.yaml", environ, SetClock()))
    assert found == ["model gpt-image-2: none of its offers that are on makes 1536x1024, 1024x1536"]
    assert texts(load(SHIPPED / "gateway.yaml", {}, SetClock())) == []


def test_the_origin_of_prices() -> None:
    """Without source or day: a problem. From the future: a problem. Too old: a warning, which begins the day after the last allowed one."""
    day = date(2026, 11, 26)

    def found(source: str | None, as_of: date | None) -> list[Finding]:
        return findings_of_origins([PriceOrigin("m", "u/x", source, as_of)], day, 90)

    assert found("list", date(2026, 8, 28)) == found("list", day) == []
    [old] = found("list", date(2026, 8, 27))
    assert old.warning
    assert old.text == "model m: the price of u/x was read 91 days ago (2026-08-27): read it again at list"
    for source, as_of, words in (
        (None, day, "has no source"),
        ("", day, "has no source"),
        ("list", None, "has no as_of"),
        (None, None, "has no source and no as_of"),
        ("list", date(2026, 11, 27), "is yet to come"),
    ):
        [problem] = found(source, as_of)
        assert words in problem.text
        assert not problem.warning


def check(folder: Path, *arguments: str) -> tuple[int, list[str], str]:
    """Exit code, lines, and what stands on standard error."""
    done = CliRunner().invoke(app, ["catalog", "check", "--config", str(folder / "gateway.yaml"), *arguments])
    return done.exit_code, done.stdout.splitlines(), done.stderr


def test_the_command_names_each_problem(tmp_path: Path) -> None:
    """Exit 1 and a line each, of what check-config notes as well and of prices without origin; warnings come last; a file for programs on request."""
    write(tmp_path, "models: {}", "empty.yaml")
    off = {"upstream": "absent", "model": "x", "cost": {"per_image_usd": 0.01}}
    old = {"per_image_usd": 0.03, "source": "list", "as_of": "2020-01-01"}
    ended = model(old, until="2026-01-01")
    upstreams = {"vendor": {"kind": "openai", "api_key": "x"}, "absent": {"kind": "evolink", "api_key": ""}}
    models = {"dear": model(old, charge=CHARGE), "gone": model(offers=[off]), "ended": ended}
    write(tmp_path, settings(models, upstreams=upstreams, aliases={"fast": "gone"}))
    code, lines, _ = check(tmp_path)
    assert code == 1
    assert lines[:4] == [
        "model gone is not served: none of its upstreams is on (absent)",
        "alias fast is not served: its model gone is not",
        f"model dear: {OFFER} costs 0.03 USD a picture of 1024x1024 at quality low, the fixed charge of 1.5 credits brings in 0.020833 USD",
        "model gone: the price of absent/x has no source and no as_of: write where and on which day it was read",
    ]
    assert lines[4] == "warning: model ended is not served: it ended on 2026-01-01"
    assert lines[5].startswith(f"warning: model dear: the price of {OFFER} was read ")
    assert lines[6:] == ["The catalogue has 4 problems."]
    code, [line], _ = check(tmp_path, "--format", "json")
    answer = json.loads(line)
    assert (code, answer["failed"]) == (1, True)
    assert [row["problem"] for row in answer["rows"][:4]] == lines[:4]
    assert [f"warning: {row['warning']}" for row in answer["rows"][4:]] == lines[4:6]


@pytest.mark.parametrize(
    ("arguments", "warned"), [((), True), (("--max-age", "99d"), True), (("--max-age", "101d"), False)]
)
def test_a_good_catalogue_passes(tmp_path: Path, arguments: Sequence[str], warned: bool) -> None:
    """Exit 0, also with a warning of an old price; how old may be chosen, and is 90 days otherwise."""
    write(tmp_path, "models: {}", "empty.yaml")
    today = datetime.now(UTC).date()
    fresh = {"per_image_usd": 0.01, "source": "list", "as_of": today.isoformat()}
    old = {**fresh, "as_of": (today - timedelta(days=100)).isoformat()}
    write(tmp_path, settings({"m": model(fresh, old)}))
    code, lines, _ = check(tmp_path, *arguments)
    assert (code, lines[-1]) == (0, "The catalogue is good; models served: 1.")
    assert [line[:50] for line in lines[:-1]] == [f"warning: model m: the price of {OFFER}#2"[:50]] * warned


def test_what_cannot_be_used_exits_with_2(tmp_path: Path) -> None:
    """An unknown formula, an alias to no model and a bad --max-age are told as check-config tells them, with their remedies."""
    write(tmp_path, "models: {}", "empty.yaml")
    write(tmp_path, settings({"m": model({"formula": "gpt-image-3"})}))
    code, lines, errors = check(tmp_path)
    assert (code, lines) == (2, [])
    assert "models.m.offers[0].cost.formula: gpt-image-3: is no published formula. Did you mean gpt-image-2?" in errors
    write(tmp_path, settings({"m": model({"per_image_usd": 1})}, aliases={"fast": "mm"}))
    code, _, errors = check(tmp_path)
    assert code == 2
    assert "aliases.fast: mm: is no model. Did you mean m?" in errors
    write(tmp_path, settings({"m": model({"per_image_usd": 1})}))
    code, _, errors = check(tmp_path, "--max-age", "soon")
    assert code == 2
    assert "max-age" in errors
