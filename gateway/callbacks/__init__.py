"""Callbacks on their way out: an outbox in the database, signed with Standard Webhooks, delivered at least once."""
