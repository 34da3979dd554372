"""Ports for servers that are started by number, among them those that are killed and come back on the same one.

Not from the range out of which the kernel serves whoever asks for any port, or connects: between the choice and the listening, and while a killed
server is away, another process of this machine would now and then be given the very same port.
"""

import socket
from pathlib import Path
from random import SystemRandom

KERNELS_OWN = Path("/proc/sys/net/ipv4/ip_local_port_range")
FIRST = 10_000
TRIES = 50


def free_port() -> int:
    """Nobody listens on it, on loopback. At random and not seeded: several test processes choose at the same time."""
    below = int(KERNELS_OWN.read_text().split()[0]) if KERNELS_OWN.exists() else 0
    chance = SystemRandom()
    chosen = [chance.randrange(FIRST, below) for _ in range(TRIES)] if below > FIRST else []
    for number in (*chosen, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", number))
            except OSError:
                continue
            port: int = probe.getsockname()[1]
            return port
    raise AssertionError("no port is free")
