"""Values of rows, as what their columns promise: a row that breaks the promise is a bug, and leaves as AssertionError."""


def text(value: str | int | None) -> str:
    if not isinstance(value, str):
        raise AssertionError(f"a text was expected in the row, not {value!r}")
    return value


def number(value: str | int | None) -> int:
    if not isinstance(value, int):
        raise AssertionError(f"a number was expected in the row, not {value!r}")
    return value


def optional_text(value: str | int | None) -> str | None:
    return None if value is None else text(value)


def optional_number(value: str | int | None) -> int | None:
    return None if value is None else number(value)


def storable(text: str | None) -> str | None:
    """An upstream's words may hold a NUL, which PostgreSQL refuses, or half a surrogate pair, which nothing encodes: a task must end all the same."""
    return None if text is None else text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
