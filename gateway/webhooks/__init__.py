"""Messages to receivers outside: signed with Standard Webhooks, posted through the guard. Shared by alerts and callbacks; keeps nothing."""
