"""The exact length of a prompt in tokens."""
