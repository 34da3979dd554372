"""`gateway backup`: the whole database in one file, while the gateway serves.

How it fails: AdministrationError with what is wrong; then there is no file, or the one that stood there before.
"""

from collections.abc import Mapping
from pathlib import Path

from gateway.administration import store as trail
from gateway.administration.reports import Arguments, Command, Report, Row
from gateway.db.connection import Connection
from gateway.db.snapshot import SnapshotFailed, write_snapshot
from gateway.db.url import DatabaseUrl
from gateway.db.writer import Database, Transact
from gateway.domain.administrators import COMMAND, Administrator
from gateway.domain.errors import AdministrationError
from gateway.ledger.model import Grant

NOT_HELD = "A backup holds neither the pictures (copy the folder of `blobs` after it) nor secret_key, without which no key is valid."


class Backups:
    """Backups of one database."""

    def __init__(self, database: Database[Transact | Grant, object], url: DatabaseUrl) -> None:
        self._database = database
        self._url = url
        self.commands: Mapping[str, Command] = {"backup": self._backup}

    async def write(self, target: Path, *, replace: bool, by: Administrator = COMMAND) -> int:
        """The file's size in bytes. Raises AdministrationError."""
        if not target.is_absolute():
            raise AdministrationError(f"file {str(target)!r}: give the whole path", param="file")
        try:
            size_bytes = await write_snapshot(self._url, target, replace=replace)
        except SnapshotFailed as exc:
            raise AdministrationError(str(exc), param="file") from exc

        async def record(connection: Connection, at_ms: int) -> None:
            await trail.record(connection, at_ms, by, "backup.create", str(target))

        await self._database.write(Transact(record))
        return size_bytes

    async def _backup(self, arguments: Arguments) -> Report:
        target = Path(arguments.get("file") or "")
        size_bytes = await self.write(target, replace=bool(arguments.get("force")))
        row: Row = {"file": str(target), "bytes": size_bytes}
        return Report((row,), f"The database is in this file, as it was a moment ago. {NOT_HELD}")
