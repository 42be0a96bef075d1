"""The difference for clients, APIs and signing keys."""

import json

from idp.cli.apply import plan_holdings, steps
from idp.cli.apply.drawing import Drawing, differing
from idp.cli.apply.outlook import OrganizationOutlook, Outlook
from idp.cli.apply.present import Client, Key
from idp.cli.apply.steps import ClientPlan, Ref
from idp.cli.apply.wanted import Said, WantedApi, WantedClient, WantedContext, WantedKey
from idp.clients import apis, metadata
from idp.clients.apis import ApiSettings
from idp.clients.models import OPERATOR
from idp.keys import material
from idp.platform import bearer
from idp.platform.settings import settings


def draw(wanted: WantedClient, outlook: Outlook, drawing: Drawing) -> None:
    """What is to be done for a client, and for the roles that it holds."""
    before, place = outlook.present.clients.get(wanted.id), wanted.place
    ref = Ref("client", wanted.id, before.id if before is not None else "")
    if wanted.is_absent:
        if before is not None:
            drawing.add(steps.DeleteClient(place, ref))
        return
    owner = _owner(wanted, before, outlook, drawing)
    plan = _plan(wanted, before, outlook, drawing)
    if plan is None:
        return
    if before is None:
        drawing.add(steps.CreateClient(place, ref, plan, owner.ref if owner else None))
    else:
        _change(wanted, ref, plan, before, outlook, drawing)
    _secret(wanted, ref, before, drawing)
    _switches(wanted, ref, before, outlook, drawing)
    _status(wanted, ref, before, drawing)
    if owner is not None:
        plan_holdings.draw(owner, ref, wanted.holdings, outlook, drawing)
    for held in wanted.held_in:
        where = outlook.organization(held.organization)
        if where is not None:
            plan_holdings.draw(where, ref, held.holdings, outlook, drawing)


def _owner(
    wanted: WantedClient, before: Client | None, outlook: Outlook, drawing: Drawing
) -> OrganizationOutlook | None:
    """The organization that the client belongs to; `None` for the operator."""
    owner = outlook.organization(wanted.owner) if wanted.owner else None
    if before is not None and wanted.owner is not None and (owner is None or owner.ref.id != before.owner):
        whose = "the operator" if before.owner == OPERATOR else before.owner
        drawing.faults.add(wanted.owner.place, f"expected {whose}: whose a client is never changes")
    return owner


def _plan(wanted: WantedClient, before: Client | None, outlook: Outlook, drawing: Drawing) -> ClientPlan | None:
    """The client as it is to be: what the file says, over what it is."""
    place, was = wanted.place, _present(before, outlook)
    said = {name: value for name, value in wanted.metadata.items() if value is not None}
    kept = {name: value for name, value in was.metadata.items() if name not in wanted.metadata}
    registered = drawing.made(place, lambda: metadata.parse({**kept, **said}))
    if registered is None:
        return None
    kind, organization, account = was.kind, was.organization, was.account
    if wanted.context is not None:
        kind, organization, account = _context(wanted.context, outlook)
    enabled_for = was.enabled_for
    if wanted.for_all or wanted.enabled_for is not None:
        enabled_for = None if wanted.for_all else _organizations(wanted.enabled_for or (), outlook)
    first_party = was.first_party if wanted.first_party is None else wanted.first_party
    return ClientPlan(registered, kind, organization, account, enabled_for, first_party)


def _present(before: Client | None, outlook: Outlook) -> ClientPlan:
    if before is None:
        return ClientPlan({}, "none", None, None, None, first_party=False)
    now = before.settings
    organization = outlook.of_id(now.context.organization_id) if now.context.organization_id else None
    account = Ref("account", now.context.account_id, now.context.account_id) if now.context.account_id else None
    enabled_for = None
    if now.enabled_for is not None:  # what is closed is not spoken of
        enabled_for = frozenset(outlook.of_id(one) for one in now.enabled_for if one not in outlook.present.closed)
    return ClientPlan(now.metadata, now.context.kind, organization, account, enabled_for, now.first_party)


def _context(context: WantedContext, outlook: Outlook) -> tuple[str, Ref | None, Ref | None]:
    one = outlook.organization(context.organization) if context.organization else None
    account = one.accounts.find(context.account) if one is not None and context.account is not None else None
    return context.kind, one.ref if one else None, account


def _organizations(said: tuple[Said, ...], outlook: Outlook) -> frozenset[Ref]:
    found = [outlook.organization(one) for one in said]
    return frozenset(one.ref for one in found if one is not None)


def _change(
    wanted: WantedClient, ref: Ref, plan: ClientPlan, before: Client, outlook: Outlook, drawing: Drawing
) -> None:
    was, becomes = _told(_present(before, outlook)), _told(plan)
    if was != becomes:
        drawing.add(steps.ChangeClient(wanted.place, ref, plan, differing(was, becomes)))


def _told(plan: ClientPlan) -> dict[str, object]:
    """A client in plain words and ids, which are what differs or does not."""
    return {
        **plan.metadata,
        "context": " ".join([plan.kind, *(ref.id or ref.name for ref in (plan.organization, plan.account) if ref)]),
        "enabled_for": "all" if plan.enabled_for is None else sorted(ref.name for ref in plan.enabled_for),
        "first_party": plan.first_party,
    }


def _secret(wanted: WantedClient, ref: Ref, before: Client | None, drawing: Drawing) -> None:
    secret, digests = wanted.secret, before.digests if before is not None else ()
    if secret is None:
        return
    if secret.is_stored:
        if not digests:
            drawing.note(secret.place, f"left out: no secret of {wanted.id} is stored here")
    elif not any(bearer.matches(secret.text, digest) for digest in digests):
        drawing.add(steps.AddSecret(secret.place, ref, secret.text))


def _switches(wanted: WantedClient, ref: Ref, before: Client | None, outlook: Outlook, drawing: Drawing) -> None:
    """Where the client is switched off is what is named, unless nothing is said of that."""
    if wanted.switched_off is None:
        return
    place = wanted.place.of("switched_off")
    closed = outlook.present.closed
    is_off = {outlook.of_id(one) for one in before.switched_off if one not in closed} if before is not None else set()
    wanted_off = _organizations(wanted.switched_off, outlook)
    for organization in sorted(wanted_off - is_off, key=lambda one: one.name):
        drawing.add(steps.SwitchClient(place, ref, organization, on=False))
    for organization in sorted(is_off - wanted_off, key=lambda one: one.name):
        drawing.add(steps.SwitchClient(place, ref, organization, on=True))


def _status(wanted: WantedClient, ref: Ref, before: Client | None, drawing: Drawing) -> None:
    is_disabled = before is not None and before.is_disabled
    if wanted.status == "disabled" and not is_disabled:
        drawing.add(steps.DisableClient(wanted.place.of("status"), ref))
    if wanted.status == "active" and is_disabled:
        drawing.add(steps.EnableClient(wanted.place.of("status"), ref))


# APIs


def draw_api(wanted: WantedApi, outlook: Outlook, drawing: Drawing) -> None:
    """What is to be declared or withdrawn."""
    before, place = outlook.present.apis.get(wanted.audience), wanted.place
    ref = Ref("api", wanted.audience, before.id if before is not None else "")
    if wanted.audience == settings().issuer:
        drawing.faults.add(place.of("audience"), "expected another audience: the issuer's own comes with the release")
        return
    if wanted.is_absent:
        if before is not None:
            drawing.add(steps.WithdrawApi(place, ref))
        return
    if before is not None and wanted.id not in ("", before.id):
        drawing.faults.add(place.of("id"), f"expected {before.id}: the API exists, and ids never change")
    was = before.settings if before is not None else ApiSettings(wanted.audience, wanted.audience)
    said = ApiSettings(
        wanted.audience,
        was.name if wanted.name is None else wanted.name,
        was.scopes if wanted.scopes is None else wanted.scopes,
        was.permissions if wanted.permissions is None else wanted.permissions,
    )
    becomes = drawing.made(place, lambda: apis.normal(said))
    if becomes is not None and (before is None or becomes != was):
        drawing.add(steps.DeclareApi(place, ref, becomes, wanted.id, _api_difference(was, becomes)))


def _api_difference(was: ApiSettings, becomes: ApiSettings) -> str:
    return differing(_api_told(was), _api_told(becomes)) or "nothing yet"


def _api_told(one: ApiSettings) -> dict[str, object]:
    holders = {name: "as the issuer says" if roles is None else list(roles) for name, roles in one.permissions.items()}
    scopes = {f"scope {scope.name}": scope.description or scope.name for scope in one.scopes}
    return {"name": one.name, **scopes, **holders}


# Signing keys


def draw_key(wanted: WantedKey, outlook: Outlook, drawing: Drawing) -> None:
    """Which key is to be taken in, or to retire."""
    before, place = outlook.present.keys.get(wanted.kid), wanted.place
    ref = Ref("key", wanted.kid, before.kid if before is not None else "")
    if wanted.is_absent:
        if before is not None and not (before.is_leaving or before.is_withdrawn):
            drawing.add(steps.RetireKey(place, ref))
    elif wanted.pair is None:
        if before is None:
            drawing.note(place.of("private_key"), f"left out: no key {wanted.kid} is stored here")
    elif before is None:
        drawing.add(steps.BringKey(place, ref, wanted.pair))
    else:
        _require_same(wanted, before, drawing)


def _require_same(wanted: WantedKey, before: Key, drawing: Drawing) -> None:
    pair = wanted.pair
    if pair is None:
        return
    same = json.dumps(material.public(pair), sort_keys=True) == before.public
    if not same or pair.slot.purpose != before.purpose:
        drawing.faults.add(wanted.place.of("kid"), "expected a kid that is free: another key has it")
    elif before.is_withdrawn:
        drawing.faults.add(wanted.place.of("kid"), "expected another key: this one was withdrawn and cannot come back")
