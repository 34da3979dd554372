"""Real HTTP servers that speak each vendor's wire, can be told to misbehave, and count what they would have billed."""
