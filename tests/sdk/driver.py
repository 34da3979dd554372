"""The parent: starts `run.py` in the vendors' environment and reads what the SDK made of the emulator's answers.

The child gets an environment of its own in which every way out leads to a closed port: what is not loopback cannot be reached. Fails with the
child's traceback.
"""

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path

import orjson

from tests.emulators.base import Emulator

_PROGRAM = Path(__file__).with_name("run.py")
_NOWHERE = "http://127.0.0.1:9"
_HOME = {"NO_PROXY": "127.0.0.1", **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), _NOWHERE)}

Outcome = Mapping[str, object]


async def sdk_outcomes(
    python: Path, vendor: str, emulator: Emulator, environment: Mapping[str, str] | None = None
) -> Mapping[str, Outcome]:
    """What came of each call of `VENDOR_calls.py`, by the call's name."""
    # -E -s: only the environment's own packages; not -I, which would hide the modules beside the program.
    process = await asyncio.create_subprocess_exec(
        str(python), "-E", "-s", "-B", str(_PROGRAM), vendor, emulator.base_url, emulator.api_key,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**_HOME, **(environment or {})},
    )  # fmt: skip
    printed, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    outcomes: Mapping[str, Outcome] = orjson.loads(printed)
    return outcomes


async def certificate(python: Path, folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context for 127.0.0.1, and the file of the authority that a client has to trust."""
    process = await asyncio.create_subprocess_exec(
        str(python), "-E", "-s", "-m", "trustme", "--quiet", "-d", str(folder), "-i", "127.0.0.1"
    )
    assert await process.wait() == 0
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return context, folder / "client.pem"
