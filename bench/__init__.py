"""The gateway, measured against a bare pass-through on the same machine: `make bench`. See README.md."""
