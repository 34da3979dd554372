"""Names of orgs, teams and keys as operators give them."""

from gateway.domain.errors import AdministrationError


def check_names(*given: tuple[str, str | None]) -> None:
    """Pairs of field and name; None is none given. Raises AdministrationError."""
    for part, text in given:
        if text is not None and (
            not text.strip() or len(text) > 64 or not text.isprintable() or "/" in text or ":" in text
        ):
            raise AdministrationError(
                f"{part} {text!r}: write a name of 1 to 64 characters without / and :", param=part
            )
