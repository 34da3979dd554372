"""kill -9 with a full limit of tasks at once: the next process counts what it takes up, and lets others in when that has ended."""

from contextlib import ExitStack
from pathlib import Path

from tests.acceptance.forked_gateway import ForkedGateway
from tests.acceptance.gateway_process import until
from tests.acceptance.settings import BY_EVOLINK, KEY, config
from tests.emulators.behaviours import Hang, Succeed
from tests.emulators.fixtures import StartProcess

ENDED_S_MAX = 60.0


def test_a_killed_gateways_tasks_count_again(tmp_path: Path, emulator_process: StartProcess) -> None:
    """One place, taken by a task whose process is killed: after the restart still taken; free once the recovered task has its picture."""
    evolink = emulator_process("evolink")
    evolink.always(Hang(bills=True), at="poll")
    team = {"team": "design", "keys": [{"name": "ci", "secret": KEY, "concurrency": 1}]}
    settings = config(
        evolink=evolink, of_evolink={"poll_interval": "200ms"}, accounts=[{"org": "acme", "teams": [team]}]
    )
    gateway = ForkedGateway(tmp_path / "gateway", settings, key=KEY)
    with ExitStack() as stack:
        stack.callback(gateway.stop)
        gateway.start()
        first = gateway.submit(BY_EVOLINK, "a wild dolphin 101")
        until(lambda: [seen for seen in evolink.requests if seen.at == "poll"], 30, "the upstream was not polled")
        gateway.kill()
        gateway.start()
        refused = gateway.generate(BY_EVOLINK, "a wild dolphin 102")
        assert (refused.status, refused.json["error"]["code"]) == (429, "concurrency_limit_exceeded")
        evolink.always(Succeed(), at="poll")
        evolink.release()
        until(lambda: gateway.task(first)["status"] == "completed", ENDED_S_MAX, "it was not finished")
        assert gateway.generate(BY_EVOLINK, "a wild dolphin 103").status == 200
        assert gateway.terminate() == 0
    assert evolink.billed_images == 2
