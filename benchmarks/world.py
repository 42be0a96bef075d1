"""Whom load is made of: a business with two accounts and one with thousands, their people, and three clients."""

import json
from pathlib import Path

PASSWORD = "walled-garden-bench-7"  # noqa: S105 of people who do not exist
SECRET = "secret-of-a-client-that-only-benchmarks-know"  # noqa: S105 as above
CALLBACK = "http://127.0.0.1:9/callback"
"""Where codes are sent; nobody listens there."""
PAYMENTS, LEDGER = "https://payments.test", "https://ledger.test"
"""APIs: one whose tokens list permissions, one whose tokens name roles alone."""

SHOP, ROBOT, SERVICE = "app_shop", "app_robot", "app_service"
"""An application for people, a machine of the small business, and the service that is the API `PAYMENTS`."""

PEOPLE = tuple(f"person-{number}" for number in range(8))
"""Of the small business; each holds one role on the organization and another on the account `a0`."""
FEW, MANY = "few", "many"
"""Somebody with two accounts, and somebody with all those of the large business."""
SMALL, LARGE = "small", "large"


def write(file: Path, accounts: int) -> None:
    """The declarative file, with that many accounts in the large business."""
    organizations = [
        _organization(SMALL, 2),
        _organization(LARGE, accounts),
    ]
    users = [_user("boss", {})]
    users += [_user(name, {SMALL: {"roles": ["view_only"], "account_roles": {"a0": ["developer"]}}}) for name in PEOPLE]
    users.append(_user(FEW, {SMALL: {"account_roles": {"a0": ["developer"], "a1": ["developer"]}}}))
    everywhere = {f"a{number}": ["developer"] for number in range(accounts)}
    users.append(_user(MANY, {LARGE: {"account_roles": everywhere}}))
    declared = {
        "version": 1,
        "organizations": organizations,
        "users": users,
        "apis": [
            {
                "audience": PAYMENTS,
                "name": "Payments",
                "scopes": [{"name": "payments", "description": "Payments"}],
                "permissions": {"payments.read": ["developer", "view_only"], "payments.write": ["developer"]},
            },
            {"audience": LEDGER, "name": "Ledger", "scopes": [{"name": "ledger", "description": "Ledger"}]},
        ],
        "clients": [_shop(), _robot(), _service()],
    }
    file.write_text(json.dumps(declared))  # which is YAML, too


def _organization(slug: str, accounts: int) -> dict[str, object]:
    return {
        "slug": slug,
        "name": slug.capitalize(),
        "owner": "boss",
        "accounts": [
            {"key": f"a{number}", "name": f"Account {number}", "country": "DE", "livemode": True}
            for number in range(accounts)
        ],
    }


def _user(name: str, memberships: dict[str, dict[str, object]]) -> dict[str, object]:
    return {
        "username": name,
        "email": f"{name}@people.test",
        "email_verified": True,
        "password": PASSWORD,
        "memberships": [{"organization": slug, "status": "active", **held} for slug, held in memberships.items()],
    }


def _shop() -> dict[str, object]:
    return {
        "client_id": SHOP,
        "client_name": "Shop",
        "client_secret": SECRET,
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
        "context": "account",
        "resources": [PAYMENTS, LEDGER],
        "first_party": True,
    }


def _robot() -> dict[str, object]:
    return {
        "client_id": ROBOT,
        "client_name": "Robot",
        "client_secret": SECRET,
        "grant_types": ["client_credentials"],
        "organization": SMALL,
        "context": "organization",
        "resources": [PAYMENTS],
        "roles": ["view_only"],
    }


def _service() -> dict[str, object]:
    return {
        "client_id": SERVICE,
        "client_name": "Service",
        "client_secret": SECRET,
        "grant_types": ["client_credentials"],
        "serves": [PAYMENTS],
    }
