"""Permissions as people read them: what each of our own lets somebody do. Those that other APIs declare keep their
names.
"""

from collections.abc import Callable, Mapping
from typing import Final

from idp.platform.i18n import gettext as _

_WORDS: Final[Mapping[str, Callable[[], str]]] = {
    "payments.read": lambda: _("See payments"),
    "payments.write": lambda: _("Make and change payments"),
    "refunds.write": lambda: _("Refund payments"),
    "credit_notes.write": lambda: _("Write credit notes"),
    "disputes.read": lambda: _("See disputes"),
    "disputes.write": lambda: _("Answer disputes"),
    "customers.read": lambda: _("See customers"),
    "customers.write": lambda: _("Change customers"),
    "products.read": lambda: _("See products and prices"),
    "products.write": lambda: _("Change products and prices"),
    "balance.read": lambda: _("See the balance"),
    "payouts.read": lambda: _("See payouts"),
    "payouts.write": lambda: _("Start payouts"),
    "transfers.read": lambda: _("See transfers"),
    "transfers.write": lambda: _("Make transfers"),
    "topups.read": lambda: _("See top-ups"),
    "topups.write": lambda: _("Add money to the balance"),
    "payout_schedule.write": lambda: _("Change when payouts happen"),
    "bank_accounts.write": lambda: _("Change bank accounts"),
    "exports.create": lambda: _("Export reports"),
    "tax.read": lambda: _("See taxes"),
    "tax.write": lambda: _("Change taxes"),
    "connected_accounts.read": lambda: _("See connected accounts"),
    "connected_accounts.write": lambda: _("Change connected accounts"),
    "connected_accounts.create": lambda: _("Add connected accounts"),
    "terminal.read": lambda: _("See card readers"),
    "terminal.write": lambda: _("Change card readers"),
    "verifications.read": lambda: _("See identity checks"),
    "verifications.write": lambda: _("Start identity checks"),
    "migrations.read": lambda: _("See data migrations"),
    "migrations.write": lambda: _("Move data in"),
    "api_keys.read": lambda: _("See API keys"),
    "api_keys.write": lambda: _("Make and revoke API keys"),
    "webhooks.read": lambda: _("See webhooks"),
    "webhooks.write": lambda: _("Change webhooks"),
    "logs.read": lambda: _("Read logs"),
    "clients.read": lambda: _("See applications"),
    "clients.write": lambda: _("Change applications"),
    "settings.read": lambda: _("See settings"),
    "settings.write": lambda: _("Change settings"),
    "product_settings.write": lambda: _("Change settings of single products"),
    "sandboxes.read": lambda: _("See sandboxes"),
    "sandboxes.write": lambda: _("Make and change sandboxes"),
    "members.read": lambda: _("See who belongs to the organization"),
    "members.write": lambda: _("Invite and remove people, and give roles"),
    "roles.read": lambda: _("See roles"),
    "roles.write": lambda: _("Make and change roles"),
    "audit.read": lambda: _("Read the audit trail"),
    "audit.export": lambda: _("Export the audit trail"),
    "organization.read": lambda: _("See the organization"),
    "organization.write": lambda: _("Change the organization"),
    "accounts.read": lambda: _("See accounts"),
    "accounts.write": lambda: _("Open and change accounts"),
    "accounts.move": lambda: _("Move accounts to another organization"),
    "policies.read": lambda: _("See what is demanded of members"),
    "policies.write": lambda: _("Change what is demanded of members"),
    "sso.read": lambda: _("See how members sign in by their company"),
    "sso.write": lambda: _("Change how members sign in by their company"),
}


def known() -> tuple[str, ...]:
    """The permissions that have words, in the order in which a reader looks for them."""
    return tuple(_WORDS)


def said(name: str) -> str:
    """What the permission lets somebody do; its name where only an API knows that."""
    words = _WORDS.get(name)
    return words() if words else name


def has_words(name: str) -> bool:
    """Whether `said` is a sentence of ours."""
    return name in _WORDS
