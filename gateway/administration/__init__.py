"""What operators do: declare accounts and keys, make keys, look at tasks and doubts, audit the ledger."""
