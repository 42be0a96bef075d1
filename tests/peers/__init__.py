"""Relying parties that others wrote: how the tests speak to them."""
