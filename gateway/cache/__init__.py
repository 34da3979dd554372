"""Identical requests, made once: what tells two requests apart, where their pictures are, and the pictures asked for lately."""
