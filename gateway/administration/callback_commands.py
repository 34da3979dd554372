"""`gateway callbacks …` and `gateway keys callback-secret`."""

from collections.abc import Mapping
from datetime import UTC, datetime

from gateway.administration.callback_secrets import CallbackSecrets
from gateway.administration.callbacks import Callbacks
from gateway.administration.reports import ROWS_MAX, Arguments, Command, Report, Row, read_duration_s, shown_time
from gateway.domain.callbacks import Callback, CallbackState
from gateway.domain.errors import AdministrationError
from gateway.domain.keys import OVERLAP_S


class CallbackCommands:
    """Texts in, rows out."""

    def __init__(self, callbacks: Callbacks, secrets: CallbackSecrets) -> None:
        self._callbacks = callbacks
        self._secrets = secrets
        self.commands: Mapping[str, Command] = {
            "callbacks list": self._list,
            "callbacks show": self._show,
            "callbacks resend": self._resend,
            "keys callback-secret": self._secret,
        }

    async def _list(self, arguments: Arguments) -> Report:
        wish = arguments.get("state")
        try:
            state = CallbackState(wish) if wish else None
        except ValueError as exc:
            raise AdministrationError(f"state {wish!r}: write {', '.join(CallbackState)}") from exc
        found = await self._callbacks.page(state=state, size=ROWS_MAX + 1)
        return Report(
            tuple(_row(callback) for callback in found[:ROWS_MAX]),
            f"Only the latest {ROWS_MAX} are shown." if len(found) > ROWS_MAX else "",
        )

    async def _show(self, arguments: Arguments) -> Report:
        record = await self._callbacks.show(arguments.get("id") or "")
        rows: list[Row] = [
            {
                "at": datetime.fromtimestamp(made.at_ms / 1000, UTC).isoformat(timespec="milliseconds"),
                "status": made.status,
                "ms": made.took_ms,
                "answer": made.answer,
            }
            for made in record.tries
        ]
        one = record.callback
        return Report(tuple(rows), f"{one.id} of {one.task} to {one.shown_url or '(erased)'} is {one.state}.")

    async def _resend(self, arguments: Arguments) -> Report:
        record = await self._callbacks.resend(arguments.get("id") or "")
        return Report(message=f"{record.callback.id} is due: a running gateway sends it within seconds.")

    async def _secret(self, arguments: Arguments) -> Report:
        key_id, text = arguments.get("id") or "", arguments.get("overlap")
        if not arguments.get("rotate"):
            found = await self._secrets.show(key_id)
        else:
            try:
                overlap_s = read_duration_s(text) if text else OVERLAP_S
            except ValueError as exc:
                raise AdministrationError(f"overlap {exc}") from exc
            found = await self._secrets.rotate(key_id, overlap_s)
        row: Row = {
            "id": found.key,
            "account": found.account,
            "callback_secret": found.secret,
            "version": found.version,
            "declared": "yes" if found.declared else "no",
            "old_until": shown_time(found.old_until_ms),
        }
        return Report((row,))


def _row(callback: Callback) -> Row:
    return {
        "id": callback.id,
        "task": callback.task,
        "account": callback.account,
        "url": callback.shown_url,
        "state": callback.state.value,
        "tries": callback.tries,
        "next": shown_time(callback.next_at_ms) if callback.state is CallbackState.DUE else None,
        "answer": callback.answer,
    }
