"""Pydantic models of what callers send and of what they are answered; the OpenAPI document is made from them."""
