"""Ids, sizes, formats, states and errors: the small rules of the vocabulary."""

import time

import pytest

from gateway.domain import ids
from gateway.domain.catalog import Catalog, Model, PixelRange, SizeRule
from gateway.domain.clock import SystemClock
from gateway.domain.errors import RETRY_AFTER_S_MAX, GatewayError, Overloaded
from gateway.domain.images import (
    Background,
    Contract,
    ImageRequest,
    OutputFormat,
    Pixels,
    Quality,
    Usage,
    add_usages,
    parse_pixels,
    parse_ratio,
)
from gateway.domain.tasks import TRANSITIONS, AttemptState, TaskState

RANGE = PixelRange(multiple_of=16, ratio_max=3, edge_max=3840, area_min=65_536, area_max=8_294_400)


def test_ids_have_their_forms_and_differ() -> None:
    """A thousand of each kind: no two alike, task ids as the contract spells them."""
    makers = (ids.new_attempt_id, ids.new_key_id, ids.new_request_id, ids.new_owner_id)
    for make in (*makers, lambda: ids.new_task_id(1_757_165_031_999)):
        assert len({str(make()) for _ in range(1000)}) == 1000
    task_id = ids.new_task_id(1_757_165_031_999)
    assert task_id.startswith("task-unified-1757165031-")
    assert ids.is_task_id(task_id)
    assert not any(map(ids.is_task_id, ["", task_id + "x", task_id.upper(), task_id + "\n", "task-unified-1-aaaaaaaa"]))


def test_accounts_of_different_things_never_share_an_id() -> None:
    """A key without team, a team of the key's name, an org of both names, an upstream."""
    made = [
        ids.org_account_id("a"), ids.team_account_id("a", "b"), ids.key_account_id("a", "b", "c"), ids.key_account_id("a", None, "c"),
        ids.upstream_account_id("a"), ids.OURS_ACCOUNT_ID,
    ]  # fmt: skip
    assert len(set(made)) == len(made)


def test_the_system_clock_tells_milliseconds_and_never_goes_back() -> None:
    """Within a second of the machine's."""
    clock = SystemClock()
    assert abs(clock.now_ms() - time.time() * 1000) < 1000
    assert clock.monotonic_s() <= clock.monotonic_s()


@pytest.mark.parametrize("text", ["", "1x1", "1024X1024", "01024x10", "1024x", "100000x10", "1024x1024 ", "auto"])
def test_what_is_no_pixel_size(text: str) -> None:
    """Only two to five digits a side, without leading zeros."""
    assert parse_pixels(text) is None


def test_pixels_and_ratios() -> None:
    """Read, shown, reduced."""
    assert parse_pixels("1024x1536") == Pixels(1024, 1536)
    assert str(Pixels(1024, 1536)) == "1024x1536"
    assert (Pixels(1024, 1536).ratio, Pixels(1024, 1536).area) == ((2, 3), 1_572_864)
    assert (parse_ratio("16:9"), parse_ratio("0:9"), parse_ratio("160:9")) == ((16, 9), None, None)


@pytest.mark.parametrize(
    ("width", "height", "allowed"),
    [(1024, 1024, True), (1023, 1024, False), (1024, 1023, False), (3856, 1600, False), (1600, 3856, False), (3840, 1280, True),
     (3840, 1264, False), (256, 256, True), (240, 256, False), (3840, 2160, True), (3840, 2176, False)],
)  # fmt: skip
def test_a_pixel_range_and_its_edges(width: int, height: int, allowed: bool) -> None:
    """Multiples, longest edge, ratio, smallest and largest area: the last allowed and the first refused of each."""
    assert RANGE.allows(Pixels(width, height)) is allowed


def test_sizes_mean_pixels() -> None:
    """A listed size, a ratio of one, auto, any pixels within the range; everything else is refused with what may be written."""
    rule = SizeRule(("auto", "1024x1024", "1024x1536", "2:3", "4:6", "9:16"), RANGE)
    assert rule.resolve("auto") is None
    assert rule.resolve("1024x1024") == Pixels(1024, 1024)
    assert rule.resolve("2:3") == rule.resolve("4:6") == Pixels(1024, 1536)
    assert rule.resolve("2048x1024") == Pixels(2048, 1024)
    for text in ("9:16", "1000x1000", "huge"):
        with pytest.raises(ValueError):
            rule.resolve(text)
    with pytest.raises(ValueError, match=r"^1024x1024$"):
        SizeRule(("1024x1024",)).resolve("2048x1024")
    assert "multiples of 16" in rule.describe()


def test_a_catalogue_knows_models_by_name_and_alias() -> None:
    """An alias leads to its model; an unknown name to nothing."""
    model = Model("new", Contract.IMAGE, 1000, SizeRule(("auto",)), (1,), ())
    catalog = Catalog({"new": model}, {"old": "new", "lost": "gone"})
    assert catalog.find("new") is catalog.find("old") is model
    assert catalog.find("lost") is catalog.find("other") is None


def test_a_request_names_what_its_caller_chose() -> None:
    """Defaults are no wish."""
    plain = ImageRequest("m", "a cat")
    assert plain.option_names() == frozenset()
    chosen = ImageRequest(
        "m", "a cat", quality=Quality.LOW, background=Background.OPAQUE, output_format=OutputFormat.WEBP,
        options=(("user", '"u"'),),
    )  # fmt: skip
    assert chosen.option_names() == {"quality", "background", "output_format", "user"}
    assert OutputFormat.WEBP.content_type == "image/webp"


def test_usages_add_up() -> None:
    """Part by part; of none there is none."""
    assert add_usages([]) is None
    total = add_usages([Usage(1, 2, 3), Usage(10, 20, 30)])
    assert total == Usage(11, 22, 33)
    assert (total.input_tokens, total.total_tokens) == (33, 66)


def test_states_that_nothing_follows_are_final() -> None:
    """Each state has its transitions; only attempts that are out are open."""
    assert set(TRANSITIONS) == set(TaskState)
    assert {state for state in TaskState if state.is_final} == {
        TaskState.COMPLETED,
        TaskState.FAILED,
        TaskState.CANCELLED,
    }
    assert {state for state in AttemptState if state.is_open} == {AttemptState.SENDING, AttemptState.SUBMITTED}


@pytest.mark.parametrize(("wait", "told"), [(None, None), (0, 1), (-5, 1), (30, 30), (4000, RETRY_AFTER_S_MAX)])
def test_an_error_asks_for_a_wait_that_clients_believe(wait: int | None, told: int | None) -> None:
    """At least a second, at most what SDKs wait for; the log's text is not the caller's."""
    error = Overloaded("busy", retry_after_s=wait, log="queue of 20000", details={"a": 1})
    assert error.retry_after_s == told
    assert (str(error), error.log, error.details) == ("busy", "queue of 20000", {"a": 1})


def tree(kind: type[GatewayError]) -> list[type[GatewayError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in tree(child))]


def test_every_error_has_a_face() -> None:
    """A status, a type and a code; no two classes answer with the same code unless one is the other's parent."""
    for kind in tree(GatewayError):
        assert 400 <= kind.status < 600
        assert kind.type
        assert kind.code
