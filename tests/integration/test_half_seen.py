"""A picture of which its caller has seen a part is no other upstream's to go on with."""

from pathlib import Path

from gateway.domain.money import Amount
from gateway.domain.tasks import TaskState
from gateway.pipeline.partials import Partials
from tests.books import KEY, Gateway, balance, clean
from tests.integration.test_making import (  # noqa: F401 - `database` is a fixture
    FAILED,
    ScriptedAdapter,
    database,
    house_of,
)


async def test_who_has_seen_a_partial_picture_gets_no_other_upstreams(
    database: Gateway,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    """An upstream that fails without a bill is followed by the next one, unless it had shown something: that would become another picture."""
    plain, showing, last = ScriptedAdapter("a"), ScriptedAdapter("b", streams=True), ScriptedAdapter("c", streams=True)
    plain.script.append(FAILED)
    showing.script.append(FAILED)
    house = await house_of(database, tmp_path, plain, showing, last)
    partials = Partials()
    ending = await house.run(await house.accepted(partial_images=2), partials=partials)
    assert [adapter.calls[0].request.partial_images for adapter in (plain, showing)] == [0, 2]
    assert partials.shown == {showing.calls[0].attempt_id}
    assert not last.calls
    assert ending.task.state is TaskState.FAILED
    assert await partials.next() is None
    assert await balance(database, KEY) == (Amount(), Amount())
    # Nobody streams, as after a restart: the whole answer is asked for, and the next one may go on.
    showing.script.append(FAILED)
    plain.script.append(FAILED)
    ending = await house.run(await house.accepted(partial_images=2))
    assert [call.on_partial for call in (showing.calls[1], last.calls[0])] == [None, None]
    assert ending.task.state is TaskState.COMPLETED
    assert await clean(database)
