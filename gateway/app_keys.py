"""Keeps keys and admin tokens true while the gateway runs: what other processes changed is read, at once where they can tell, and when each was
last used is written.

How it fails: what the database does not take or give now is logged, and tried again with the next round.
"""

import asyncio
import logging

from gateway.app_office import Office, declare
from gateway.app_state import KeyNews
from gateway.config import Config
from gateway.db.connection import StatementFailed
from gateway.domain.errors import GatewayError

log = logging.getLogger(__name__)

KEYS_RELOAD_S = 30.0
KEEP_USED_S = 30.0
"""How far behind the time shown is at which a key was last used."""


async def declare_again(config: Config, office: Office) -> None:
    """A changed config's accounts and keys, which others are to read."""
    await declare(config, office)
    await office.keys.tell()


async def reload_keys(office: Office, news: KeyNews) -> None:
    """Keys that another process made or revoked become known within KEYS_RELOAD_S, and at once where it can tell."""
    while True:
        await news.wait(KEYS_RELOAD_S)
        try:
            await office.keys.reload()
            await office.tokens.reload()
        except (GatewayError, StatementFailed) as exc:  # whatever it is, the next revocation must be heard of
            log.warning("keys cannot be read again now", exc_info=exc)


async def keep_used_often(office: Office) -> None:
    while True:
        await asyncio.sleep(KEEP_USED_S)
        await keep_used(office)


async def keep_used(office: Office) -> None:
    """When keys and admin tokens were last used. What cannot be written down now is tried again with what follows."""
    try:
        await office.keys.keep_used()
        await office.tokens.keep_used()
    except (GatewayError, StatementFailed) as exc:
        log.warning("when keys were last used cannot be written down now", exc_info=exc)
