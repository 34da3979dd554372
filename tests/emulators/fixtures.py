"""Pytest fixtures for the emulators; registered as a plugin by the tests' top `conftest.py`.

In the test's own event loop: `openai_emulator`, `evolink_emulator`. In a process of its own, for tests that kill the
gateway or use several event loops: `emulator_process(kind, **options)`, ended with the test.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio

from tests.emulators.evolink import EvolinkEmulator
from tests.emulators.openai import OpenAIEmulator
from tests.emulators.process import EmulatorProcess

StartProcess = Callable[..., EmulatorProcess]


@pytest_asyncio.fixture
async def openai_emulator() -> AsyncIterator[OpenAIEmulator]:
    """OpenAI on a free port, in this event loop."""
    async with OpenAIEmulator() as emulator:
        yield emulator


@pytest_asyncio.fixture
async def evolink_emulator() -> AsyncIterator[EvolinkEmulator]:
    """EvoLink on a free port, in this event loop; a task takes 50 ms."""
    async with EvolinkEmulator() as emulator:
        yield emulator


@pytest.fixture
def emulator_process() -> Iterator[StartProcess]:
    """A factory: `emulator_process("openai", delay=0.5, state_file=path)`; options as on the command line."""
    with contextlib.ExitStack() as running:

        def start(kind: str, **options: object) -> EmulatorProcess:
            arguments: list[str] = []
            for name, value in options.items():
                flag = "--" + name.replace("_", "-")
                if value is not False:
                    arguments += [flag] if value is True else [flag, str(value)]
            return running.enter_context(EmulatorProcess(kind, *arguments))

        yield start
