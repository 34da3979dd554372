"""Keeps tests of one `xdist_group` in one worker.

pytest-xdist 3.8 writes a test's group into a private attribute that pytest 9.2 no longer reads, so that all tests went anywhere: browsers and
databases were started in every worker, and the heaviest tests ran side by side. Here the group is written where it is read; a pytest-xdist that
does so by itself finds it there already.
"""

from collections.abc import Sequence

import pytest
from _pytest.nodeid import NodeId


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """In a worker of `--dist loadgroup`."""
    if not getattr(config.option, "loadgroup", False):
        return
    for item in items:
        groups = sorted({str(mark.args[0]) for mark in item.iter_markers("xdist_group")})
        ending = f"@{'_'.join(groups)}"
        if groups and not item.nodeid.endswith(ending):
            item._id = NodeId.parse(item.nodeid + ending)
