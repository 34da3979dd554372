"""A batch of nothing but hits that cost nothing and have no key: what it has in hand, and what it writes, by the fewest statements.

Nothing of the ledger is locked or changed, so its rows are read only where a budget or prepaid credits are to be told, and then once more for all.
The sources are locked as in every batch: who erases one waits, and finds the hits. What is decided is the same; apply.py does.
"""

from collections.abc import Sequence
from typing import TypeGuard

from gateway.callbacks import store as callback_store
from gateway.db.connection import Connection
from gateway.db.statements import Together
from gateway.db.writer import Now
from gateway.ledger import store as ledger_store
from gateway.pipeline.batch import Batch, source_of
from gateway.pipeline.commands import Command, Serve
from gateway.tasks import store as task_store

_TERMS_AND_SOURCES = Together(ledger_store.TERMS, task_store.LOCK)


def are_all(commands: Sequence[Command]) -> TypeGuard[Sequence[Serve]]:
    return all(isinstance(command, Serve) and command.is_free and command.repeat is None for command in commands)


async def load(connection: Connection, hits: Sequence[Serve], now: Now) -> Batch:
    accounts = {account for path in {hit.task.path for hit in hits} for account in path}
    terms, sources = await connection.fetch_together(
        _TERMS_AND_SOURCES, accounts=sorted(accounts), tasks=sorted({source_of(hit.task) for hit in hits})
    )
    books = ledger_store.load_books({}, terms, (), ())
    limited = {account for account, found in books.terms.items() if found.budgets or found.prepaid}
    if limited:
        await ledger_store.show_balances(connection, books, limited, {hit.task.created_at_ms for hit in hits})
    return Batch(books, task_store.tasks_of(sources), {}, await now())


async def save(connection: Connection, work: Batch) -> None:
    await connection.write_together(
        [
            task_store.added_tasks(work.added),
            task_store.added_results(work.served),
            callback_store.added_callbacks(work.callbacks),
            work.usage.write(),
        ]
    )
