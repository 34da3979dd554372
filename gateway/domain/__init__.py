"""The vocabulary of the gateway: plain values and rules, standard library only, no I/O. Read this package first."""
