"""Providers for the examples: one of the tests' own, and the real one, which really listens."""

from tests.conformance.conftest import issuer, listening
from tests.verifier.conftest import clock, make, provider, verifier

__all__ = ["clock", "issuer", "listening", "make", "provider", "verifier"]
