"""A gateway whose process may open nothing more: that is not its upstreams' fault, and it is over when there is room again."""

from pathlib import Path

from gateway.routing.health import FAILURES_IN_A_ROW_MAX
from tests.emulators.openai import OpenAIEmulator
from tests.integration import machine
from tests.integration.gateway_app import list_of, serving
from tests.integration.machine import generated, no_descriptor_left, recovered


async def test_a_call_that_cannot_be_sent_for_want_of_a_descriptor(
    tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """Not billed, not charged, told as ours with a time to come back; no circuit opens, so the next call after it works at once."""
    config = machine.config_of(tmp_path, f"sqlite:///{tmp_path}/gateway.db", openai_emulator)
    async with serving(config, {"openai": openai_emulator}) as house:
        await recovered(house)
        # The kept connection to the upstream goes; the caller's own stays.
        await openai_emulator.refuse_connections()
        await openai_emulator.accept_connections()
        with no_descriptor_left():
            answers = [await generated(house) for _ in range(FAILURES_IN_A_ROW_MAX + 1)]
        for answer in answers:
            machine.assert_refused(answer, "all_upstreams_unavailable")
        await recovered(house)
        assert await house.metric("gateway_circuit_open") == 0
        (attempt,) = list_of((await house.task(answers[-1].headers["X-Task-Id"])).json, "attempts")
        assert attempt["fault"] == "local"
        assert b"ulimit -n" in house.log_lines()
    assert len(openai_emulator.bills) == 2
