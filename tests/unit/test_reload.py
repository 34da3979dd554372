"""A config that is read again while the gateway runs: what is taken up, what waits for a restart, and what is refused."""

import asyncio
import json
import logging
import shutil
from collections.abc import Collection
from dataclasses import fields
from pathlib import Path

import pytest

from gateway.app_reload import RESTART, TAKEN_UP, TOLD, Current, KnownModels, Reloader
from gateway.config import Config, load
from gateway.domain.errors import StorageUnavailable

OPENAI = {"kind": "openai", "api_key": "sk-first-secret"}
SANDBOX = {"kind": "sandbox"}


class Watched:
    """A config file, and a reloader of it whose declarations are kept."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.path = folder / "gateway.yaml"
        self.write(**settings)
        self.current = Current(load(self.path, {}))
        self.declared: list[Config] = []
        self.news: asyncio.Queue[Config] = asyncio.Queue()
        self.trouble: Exception | None = None
        self.asked = asyncio.Event()
        self.tried = asyncio.Event()
        self.reloader = Reloader(self.current, self.reread, self.declare, self.asked, poll_s=0.001)

    def write(self, **settings: object) -> None:
        given = {"upstreams": {"sandbox": SANDBOX}, **settings}
        self.path.write_text(json.dumps(given))  # noqa: TID251 - YAML is a superset of JSON

    def reread(self, running: Collection[str]) -> Config:
        return load(self.path, {}, running=running)

    async def declare(self, config: Config) -> None:
        self.tried.set()
        if self.trouble is not None:
            raise self.trouble
        self.declared.append(config)
        self.news.put_nowait(config)


def settings_named(caplog: pytest.LogCaptureFixture) -> str:
    """The settings that the warning names."""
    return str(next(record for record in caplog.records if "wait for a restart" in record.message).__dict__["settings"])


def test_every_field_of_a_config_is_taken_up_or_waits() -> None:
    """A new one has to be put into one of the lists; upstreams are compared one by one."""
    groups = [TAKEN_UP, TOLD, frozenset(RESTART), frozenset({"upstreams"})]
    assert frozenset().union(*groups) == {field.name for field in fields(Config)}
    assert sum(map(len, groups)) == len(fields(Config))


async def test_a_good_config_is_taken_up(tmp_path: Path) -> None:
    """Accounts are declared first; then prices, deadline, models and the rest are asked of the new one."""
    watched = Watched(tmp_path, markup=1)
    assert await watched.reloader.reload()
    watched.write(
        markup="1.5", credits_per_usd=100, deadline="60s", default_model="gpt-4o-image", limits={"on_store_failure": "refuse"},
        accounts=[{"org": "acme"}], admin_token="a token of the config", aliases={"other": "gpt-image-2"},
    )  # fmt: skip
    models = KnownModels(watched.current)
    assert "other" not in models
    assert await watched.reloader.reload()
    config = watched.current.config
    assert (str(config.markup), str(config.credits_per_usd), config.deadline_s) == ("1.5", "100", 60)
    assert (config.catalog.default_model, config.limits_on_store_failure) == ("gpt-4o-image", "refuse")
    assert watched.declared[-1] is config
    assert [org.name for org in config.accounts] == ["acme"]
    assert config.admin_token == "a token of the config"
    assert "other" in models
    assert {*models} == {*config.catalog.models, "other"}
    assert len(models) == len(config.catalog.models) + 1


async def test_a_bad_config_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Every problem is logged, without secrets; what is good in it is not taken up either."""
    watched = Watched(tmp_path)
    before = watched.current.config
    keys = [{"name": "a", "secret": "short"}]
    watched.write(markup=2, deadline="soon", servr={}, accounts=[{"org": "acme", "keys": keys}])
    assert await watched.reloader.reload()
    assert watched.current.config is before
    assert watched.declared == []
    problems = [record.__dict__["problem"] for record in caplog.records if "problem" in record.__dict__]
    assert sorted(problem.partition(":")[0] for problem in problems) == [
        "accounts[0].keys[0].secret",
        "deadline",
        "servr",
    ]
    assert not any("short:" in problem for problem in problems)
    assert caplog.records[-1].__dict__["problems"] == 3


async def test_what_needs_a_restart_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In one warning, by the names of the settings and never by their values; it stays as it runs."""
    watched = Watched(tmp_path, upstreams={"sandbox": SANDBOX, "openai": OPENAI})
    changed = {**OPENAI, "api_key": "sk-second-secret", "timeout": "9s", "params": "quality"}
    watched.write(
        upstreams={"sandbox": {**SANDBOX, "latency": "5ms"}, "openai": changed, "mine": {**OPENAI, "base_url": "https://x.test"}},
        server={"port": 1}, lease="9s", usage={"callers": True}, markup=3,
    )  # fmt: skip
    assert await watched.reloader.reload()
    assert settings_named(caplog).split(", ") == [
        "server", "lease", "usage.callers", "upstreams.sandbox.latency", "upstreams.openai.api_key", "upstreams.openai.timeout",
        "upstreams.openai.params", "upstreams.mine",
    ]  # fmt: skip
    assert "secret" not in caplog.text
    config = watched.current.config
    assert (str(config.markup), config.server.port, config.lease_s) == ("3", 8080, 45)
    assert [upstream.api_key for upstream in config.upstreams if upstream.name == "openai"] == ["sk-first-secret"]


async def test_models_stay_with_the_upstreams_that_run(tmp_path: Path) -> None:
    """One that is new serves nothing before the restart, so its models keep their other offers; one that is gone serves nothing more."""
    watched = Watched(tmp_path)
    watched.write(upstreams={"sandbox": SANDBOX, "openai": OPENAI})
    assert await watched.reloader.reload()
    offers = {offer.upstream for model in watched.current.config.catalog.models.values() for offer in model.offers}
    assert offers == {"sandbox"}
    both = Watched(tmp_path, upstreams={"sandbox": SANDBOX, "openai": OPENAI})
    assert "openai" in str(both.current.config.catalog)
    both.write()
    assert await both.reloader.reload()
    assert "openai" not in {
        offer.upstream for model in both.current.config.catalog.models.values() for offer in model.offers
    }


async def test_a_database_that_does_not_answer_is_asked_again(tmp_path: Path) -> None:
    """The config before stays until it does; what the database refuses for good is not tried again."""
    watched = Watched(tmp_path)
    before = watched.current.config
    watched.write(markup=2)
    watched.trouble = StorageUnavailable("away")
    assert not await watched.reloader.reload()
    watched.trouble = ValueError("two keys have the same secret")
    assert await watched.reloader.reload()
    assert watched.current.config is before
    assert not watched.current.is_latest
    watched.trouble = None
    assert await watched.reloader.reload()
    assert watched.current.config.markup == 2
    assert watched.current.is_latest


async def test_a_changed_file_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And so is its catalogue; nothing is read while nothing changes."""
    caplog.set_level(logging.INFO)
    catalog = tmp_path / "catalog.yaml"
    cost = {"per_image_usd": "0.02"}
    model = {
        "prompt_tokens_max": 9,
        "sizes": ["1024x1024"],
        "offers": [{"upstream": "sandbox", "model": "s", "cost": cost}],
    }
    catalog.write_text(json.dumps({"models": {"one": model}}))  # noqa: TID251 - YAML is a superset of JSON
    watched = Watched(tmp_path, catalog="catalog.yaml")
    running = asyncio.create_task(watched.reloader.run())
    try:
        await asyncio.sleep(0.05)
        assert watched.declared == []
        watched.write(catalog="catalog.yaml", markup=2)
        async with asyncio.timeout(30):
            assert (await watched.news.get()).markup == 2
            catalog.write_text(json.dumps({"models": {"one": model, "two": model}}))  # noqa: TID251 - the same
            assert "two" in (await watched.news.get()).catalog.models
            watched.asked.set()
            assert (await watched.news.get()).markup == 2
    finally:
        running.cancel()


async def test_a_changed_secret_of_a_projected_volume_is_noticed(tmp_path: Path) -> None:
    """As Kubernetes keeps one: all files are made anew in a folder, to which a link is turned in one go; then the old folder is removed."""

    def project(number: int, secret: str) -> None:
        folder = tmp_path / f"..{number}"
        folder.mkdir()
        keys = [{"name": "ci", "secret": "${file:ci_key}"}]
        config = {"upstreams": {"sandbox": SANDBOX}, "accounts": [{"org": "acme", "keys": keys}]}
        for name, text in (("gateway.yaml", json.dumps(config)), ("ci_key", secret)):  # noqa: TID251 - YAML is a superset of JSON
            (folder / name).write_text(text)
            if number == 1:
                (tmp_path / name).symlink_to(Path("..data") / name)
        (tmp_path / "..turned").symlink_to(folder.name)
        (tmp_path / "..turned").replace(tmp_path / "..data")

    project(1, "the first secret")
    path = tmp_path / "gateway.yaml"
    current, news = Current(load(path, {})), asyncio.Queue[Config]()
    reloader = Reloader(
        current, lambda running: load(path, {}, running=running), news.put, asyncio.Event(), poll_s=0.001
    )
    watching = asyncio.ensure_future(reloader.run())
    project(2, "the other secret")
    shutil.rmtree(tmp_path / "..1")
    async with asyncio.timeout(30):
        fresh = await news.get()
    watching.cancel()
    assert fresh.accounts[0].keys[0].secret == "the other secret"


async def test_a_fault_in_one_reload_does_not_end_the_watch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, the config before stays, and the next SIGHUP is heard."""
    watched = Watched(tmp_path)
    watched.trouble = KeyError("a bug")
    running = asyncio.create_task(watched.reloader.run())
    try:
        async with asyncio.timeout(30):
            watched.asked.set()
            await watched.tried.wait()
            watched.trouble = None
            watched.write(markup=2)
            watched.asked.set()
            news = asyncio.create_task(watched.news.get())
            await asyncio.wait({news, running}, return_when=asyncio.FIRST_COMPLETED)
        assert news.done(), "nobody reads it any more"
        assert "could not be taken up" in caplog.text
    finally:
        running.cancel()
