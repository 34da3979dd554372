"""Tests of a group run in one worker: the group is a part of the name by which they are given out."""

import os

import pytest


@pytest.mark.xdist_group("grouped")
def test_a_group_is_in_the_name(request: pytest.FixtureRequest) -> None:
    """In a worker; elsewhere nobody gives tests out."""
    in_a_worker = "PYTEST_XDIST_WORKER" in os.environ and request.config.option.loadgroup
    assert request.node.nodeid.endswith("::test_a_group_is_in_the_name" + ("@grouped" if in_a_worker else ""))
