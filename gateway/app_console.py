"""The web console, put together: who signs in to it, its files, and where its pictures may come from.

How it fails: a build that cannot be read is logged, and the console says that it is not built; the gateway serves.
"""

import logging
from pathlib import Path
from urllib.parse import urlsplit

from gateway import secret_files
from gateway.administration.sessions import Lifetime, Sessions
from gateway.api.console import Console
from gateway.api.console_files import PAGE, BuildRefused, ConsoleFiles, read_console
from gateway.api.forwarded import Proxies
from gateway.api.sign_in_failures import SignInFailures
from gateway.app_office import Office
from gateway.blobs.store import BlobStoreUnavailable
from gateway.config import Config
from gateway.config_blobs import BlobLinks

log = logging.getLogger(__name__)

FOLDER = Path(__file__).with_name("console")
"""Where its build lies: part of an installed package, made by `make console` in a working copy."""
_LINK_S = 60


def console_line(config: Config) -> str | None:
    """What a start says about the console; nothing where it is switched off."""
    if not config.console.enabled:
        return None
    if not (FOLDER / PAGE).is_file():
        return "The console is not built: `make console` builds it (Node 20 or newer)."
    return f"Console: {config.server.public_url}/console/"


def console_of(config: Config, office: Office) -> Console | None:
    """None: it is switched off."""
    if not config.console.enabled:
        return None
    lifetime = Lifetime(config.console.idle_s * 1000, config.console.absolute_s * 1000)
    key = secret_files.derive(office.secret_key, "image-gateway sessions v1")
    return Console(
        Sessions(office.database, office.authenticator, office.admin_tokens, key, office.clock, lifetime),
        _files(),
        SignInFailures(office.clock),
        Proxies(config.server.trusted_proxies),
        config.server.public_url,
        PictureOrigin(config, office).find,
    )


def _files() -> ConsoleFiles | None:
    try:
        return read_console(FOLDER)
    except (BuildRefused, OSError) as exc:
        log.warning("the console's build cannot be used", extra={"cause": str(exc)})
        return None


class PictureOrigin:
    """The bucket's address, where results are linked to there. Asked of the bucket itself once, by a link that leads nowhere."""

    def __init__(self, config: Config, office: Office) -> None:
        self._presigned = config.blob_links is BlobLinks.PRESIGNED
        self._office = office
        self._found: str | None = None

    async def find(self) -> str | None:
        if not self._presigned or self._found is not None:
            return self._found
        from gateway.blobs.bucket import BucketBlobStore  # loaded already where there is a bucket

        try:
            store = (await self._office.blobs()).store
            assert isinstance(store, BucketBlobStore), "the config allows this with a bucket alone"
            [link] = await store.presigned(["console"], _LINK_S)
        except BlobStoreUnavailable as exc:
            log.warning("the console shows no pictures now: their address is not known", exc_info=exc)
            return None
        parts = urlsplit(link)
        self._found = f"{parts.scheme}://{parts.netloc}"
        return self._found
