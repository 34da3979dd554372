"""Which task answers a call that is made again."""
