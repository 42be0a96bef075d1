"""Acme and Birch with their people, for the tests that need organizations, accounts and roles."""

from tests.organizations.conftest import acme, settled

__all__ = ["acme", "settled"]
