"""Fixtures: import `vendor` into a conftest."""

from collections.abc import Iterator

import pytest

from tests.vendor.server import Vendor


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """An OpenAI of this test's own on the loopback address."""
    with Vendor() as vendor:
        yield vendor
