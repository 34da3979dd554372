"""Look-ups of strangers' names in threads of their own.

The loop's own look-ups share a handful of threads with everything else: a name whose servers never answer would keep one of them for half a minute,
and a few such names every upstream's. How it fails: OSError, as the loop's do; waiting longer than the guard allows is its TimeoutError.
"""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from aiohttp.abc import AbstractResolver, ResolveResult


class OwnThreadsResolver(AbstractResolver):
    """At most `threads` look-ups at once; the threads are made when they are needed."""

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Every address of the name."""
        look_up = partial(
            socket.getaddrinfo, host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return [
            ResolveResult(
                hostname=host, host=str(address[0]), port=int(address[1]), family=kind, proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]  # fmt: skip

    async def close(self) -> None:
        """Who is still looking something up is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
