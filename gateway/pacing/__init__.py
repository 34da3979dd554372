"""How the event loop's time is shared out."""
