"""Names of orgs, teams and keys as operators give them."""

from gateway.domain.errors import AdministrationError
from gateway.keys.secrets import is_mistyped, looks_valid


def check_names(*given: tuple[str, str | None]) -> None:
    """Pairs of field and name; None is none given. Raises AdministrationError."""
    for part, text in given:
        if text is not None and (looks_valid(text.strip()) or is_mistyped(text.strip())):
            # Names stand in tables, logs and metrics.
            raise AdministrationError(f"{part}: this is a key or an admin token, not a name", param=part)
        if text is not None and (
            not text.strip() or len(text) > 64 or not text.isprintable() or "/" in text or ":" in text
        ):
            raise AdministrationError(
                f"{part} {text!r}: write a name of 1 to 64 characters without / and :", param=part
            )
