"""What somebody proved when they chose to trust a browser: trust counts no further than that does."""

from idp.credentials import factors
from idp.sessions import trusted_devices

BY_CODE = ""
"""The `TrustedDevice.factor_id` of a browser that was trusted by a recovery code."""


def trusted_by(device_id: str) -> str:
    """The method by which somebody chose to trust a browser; empty if that is over, or the factor is gone."""
    factor_id = trusted_devices.given_for(device_id)
    if factor_id is None:
        return ""
    return "recovery_code" if factor_id == BY_CODE else factors.kind_of(factor_id)
