"""Short-lived state that several processes share in Valkey or Redis: losing it, or its server, never breaks the ledger."""
