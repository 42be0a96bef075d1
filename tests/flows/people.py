"""People for pages to be looked at with: in one organization or several, with one account, three and three hundred."""

from idp.app import start
from idp.credentials import passwords
from idp.organizations import accounts, grants, memberships, organizations, scopes
from idp.organizations.accounts import AccountSettings, NewAccount
from idp.organizations.grants import Grantee, Wanted
from idp.organizations.memberships import NewMember
from idp.organizations.organizations import OrganizationSettings
from idp.platform import database
from idp.users import users
from idp.users.users import UserSettings
from tests import once
from tests.actors import GOOD
from tests.traces import OPERATOR

EVIL = "<img src=x onerror=alert(1)>\"'{{7*7}}"
LONG = "Maximiliane Freifrau von und zu Hohenstein-Wolkenburg-Lichtenfels-Schwarzenbach"

_HASH = once.hashed(GOOD)


def build() -> None:
    """Make them all. Everybody's password is `GOOD`."""
    start()
    with database.writing():
        for name, said in (("olivia", "Olivia Lund"), ("bob", "Bob"), ("una", "Una"), ("tom", "Tom"), ("mona", LONG),
                           ("eve", EVIL), ("nick", "Nick"), ("otto", "Otto")):  # fmt: skip
            given = UserSettings(name, {"name": said})
            users.create(given, id=f"usr_{name}", email=f"{name}@northwind.test", verified=True, by=OPERATOR)
            give_password(f"usr_{name}")
        _organization("northwind", "Northwind", {"eu": "EU shop", "us": "US shop", "box": "Sandbox"})
        _organization("hundreds", "Hundreds & Sons", {f"s{n:03}": f"Shop {n:03}" for n in range(300)})
        _organization("evil", EVIL, {"evil": EVIL})
        for name, key in (("olivia", "northwind"), ("mona", "hundreds"), ("eve", "evil"), ("tom", "northwind")):
            memberships.add(f"org_{key}", NewMember(f"usr_{name}", id=f"mem_{name}"), by=OPERATOR)
            if name != "tom":
                _give(name, "view_only", key)
        _give("olivia", "developer", "northwind/eu")
        for key in ("eu", "us", "box"):
            _give("tom", "developer", f"northwind/{key}")
        memberships.add("org_northwind", NewMember("usr_una", id="mem_una"), by=OPERATOR)
        _give("una", "developer", "northwind/eu")


def give_password(user_id: str) -> None:
    """Let the person's password be `GOOD`. Inside `database.writing()`."""
    passwords.store(user_id, _HASH, by=OPERATOR)


def _organization(key: str, name: str, shops: dict[str, str]) -> None:
    organizations.found(OrganizationSettings(key, name), "usr_otto", id=f"org_{key}", by=OPERATOR)
    for shop, called in shops.items():
        new = NewAccount(AccountSettings(shop, called, "DE"), shop != "box", id=f"acct_{key}_{shop}")
        accounts.open_account(f"org_{key}", new, by=OPERATOR)


def _give(name: str, role: str, place: str) -> None:
    grants.grant(Wanted(Grantee("member", f"mem_{name}"), role, scopes.named(place)), by=OPERATOR)
