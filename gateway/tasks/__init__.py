"""Durable tasks: their rows, and who works on them."""
