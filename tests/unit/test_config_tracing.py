"""Where traces go: the config, the standard variables, and what is said where the optional packages are missing."""

from pathlib import Path

import pytest

from gateway import config_tracing
from gateway.config_tracing import LogFormat, LogLevel
from tests.unit.config_files import problems, read

VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"


def test_tracing_is_off_by_default(tmp_path: Path) -> None:
    """Whoever says nothing traces nothing."""
    config = read(tmp_path, "markup: 1\n")
    assert config.tracing is None
    assert (config.log.format, config.log.level, config.log.colours) == (LogFormat.AUTO, LogLevel.INFO, True)


@pytest.mark.parametrize("written", ["http://c:4318", "http://c:4318/", "http://c:4318/v1/traces"])
def test_the_path_of_the_protocol_is_added(written: str, tmp_path: Path) -> None:
    """As the standard variable has it; whoever writes it himself may."""
    config = read(tmp_path, f"tracing: {{endpoint: '{written}', sample: 0.25, incoming: link}}\n")
    assert config.tracing is not None
    assert config.tracing.endpoint == "http://c:4318/v1/traces"
    assert (config.tracing.sample, config.tracing.follow, config.tracing.service) == (0.25, False, None)
    assert "0.25" in repr(config.tracing)


def test_the_standard_variables_alone_switch_it_on_and_off(tmp_path: Path) -> None:
    """The SDK reads the rest of them; OTEL_SDK_DISABLED wins over everything, and that is said."""
    on = read(tmp_path, "markup: 1\n", {VARIABLE: "http://c:4318"})
    assert on.tracing is not None
    assert on.tracing.endpoint is None
    for more in ({"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}):
        off = read(tmp_path, "markup: 1\n", {VARIABLE: "http://c:4318", **more})
        assert off.tracing is None
        assert any(next(iter(more)) in note for note in off.notes)


def test_without_the_packages_the_config_is_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the config asks for traces. A variable that is there for everybody keeps nothing from its start, and a note says what is missing."""
    monkeypatch.setattr(config_tracing, "find_spec", lambda _: None)
    found = problems(tmp_path, "tracing: {endpoint: 'http://c:4318'}\n")
    assert set(found) == {"tracing.endpoint"}
    assert 'pip install "image-gateway[otel]"' in found["tracing.endpoint"].fix
    config = read(tmp_path, "markup: 1\n", {VARIABLE: "http://c:4318"})
    assert config.tracing is None
    assert any("image-gateway[otel]" in note for note in config.notes)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("tracing: {endpoint: 'http://user:secret@c:4318'}", "tracing.endpoint"),
        ("tracing: {endpoint: 'grpc://c:4317'}", "tracing.endpoint"),
        ("tracing: {sample: 1.1}", "tracing.sample"),
        ("tracing: {incoming: maybe}", "tracing.incoming"),
        ("tracing: {ca_file: /no/such/file}", "tracing.ca_file"),
        ('tracing: {headers: {authorization: "a\\nb"}}', "tracing.headers.authorization"),
        ("log: {format: xml}", "log.format"),
        ("log: {level: loud}", "log.level"),
    ],
)
def test_what_is_wrong_is_named(text: str, key: str, tmp_path: Path) -> None:
    """By its setting, and without a login."""
    found = problems(tmp_path, text + "\n")
    assert set(found) == {key}
    assert "secret" not in found[key].why


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_are_left_out_where_they_are_not_wanted(environ: dict[str, str], tmp_path: Path) -> None:
    """By https://no-color.org, and at terminals without any."""
    assert not read(tmp_path, "markup: 1\n", environ).log.colours
