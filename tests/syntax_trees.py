"""Source is parsed without a collection of garbage in the midst of it.

CPython 3.11 counts the depth of the tree that it builds in one place for all threads. A collection then runs finalizers and callbacks, in which
another thread may get its turn and build a tree of its own (to format a traceback, say); the first one ends in "SystemError: AST constructor
recursion depth mismatch", wherever it was: in a test, in pytest's own report, in the import of a module whose assertions are rewritten.
"""

import ast
import functools
import gc
from typing import Any

_parse = ast.parse


@functools.wraps(_parse)
def _undisturbed(*arguments: Any, **named: Any) -> Any:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return _parse(*arguments, **named)
    finally:
        if was_enabled:
            gc.enable()


def pytest_configure() -> None:
    ast.parse = _undisturbed
