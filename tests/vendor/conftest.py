"""The vendor of each test."""

from tests.vendor.fixtures import vendor

__all__ = ["vendor"]
