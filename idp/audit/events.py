"""The vocabulary of the audit trail: every name that may stand in an entry, and what it says.

A name is `<object>.<what happened to it>`, in the past tense. `trail.record` refuses a name that is not here, so that
readers, filters and webhooks know them all. The sentence is shown to people beside the entry.
"""

EVENTS: dict[str, str] = {
    # organizations
    "organization.created": "An organization was created.",
    "organization.changed": "An organization's name or details were changed.",
    "organization.renamed": "An organization got another slug; the old one stays its own.",
    "organization.suspended": "An organization was suspended: nothing counts in it.",
    "organization.resumed": "The suspension of an organization ended.",
    "organization.closed": "An organization was closed for good.",
    "organization.owner.changed": "An organization got another owner.",
    "organization.owner.succeeded": "The deputy became owner because the owner was deactivated.",
    "organization.deputy.named": "A deputy of the owner was named.",
    "organization.deputy.removed": "An organization has no deputy any more.",
    "organization.policy.changed": "What an organization demands of its members was changed.",
    "organization.break.glass.made": "An organization got new break-glass codes; the old ones are void.",
    "organization.break.glass.used": "A super admin used a break-glass code.",
    "organization.break.glass.voided": "An organization's break-glass codes are void.",
    # accounts
    "account.created": "An account was created.",
    "account.changed": "An account's name, key or country was changed.",
    "account.suspended": "An account was suspended: nothing counts in it.",
    "account.resumed": "The suspension of an account ended.",
    "account.closed": "An account was closed for good.",
    "account.move.offered": "An account was offered to another organization.",
    "account.move.accepted": "An offered account was accepted.",
    "account.move.declined": "An offered account was declined.",
    "account.move.withdrawn": "The offer of an account was withdrawn.",
    "account.moved.away": "An account left for another organization.",
    "account.moved.in": "An account arrived from another organization.",
    # account groups
    "group.created": "An account group was created.",
    "group.changed": "An account group's key or name was changed.",
    "group.deleted": "An account group was deleted; the grants on it ended.",
    "group.account.added": "An account was put into a group.",
    "group.account.removed": "An account was taken out of a group.",
    # memberships
    "member.added": "A person became a member.",
    "member.activated": "An invited membership became active.",
    "member.suspended": "A membership was suspended.",
    "member.reactivated": "The suspension of a membership ended.",
    "member.removed": "A person is no longer a member.",
    # teams
    "team.created": "A team was created.",
    "team.changed": "A team's key or name was changed.",
    "team.deleted": "A team was deleted; the grants to it ended.",
    "team.member.added": "A member was put into a team.",
    "team.member.removed": "A member was taken out of a team.",
    # roles
    "role.created": "A role was created.",
    "role.changed": "A role's name, demands, permissions or what it may grant were changed.",
    "role.deleted": "A role was deleted; the grants of it ended.",
    # grants
    "grant.made": "A role was granted.",
    "grant.ended": "A grant ended.",
    # invitations
    "invitation.created": "A person was invited.",
    "invitation.revoked": "An invitation was revoked.",
    "invitation.replaced": "An invitation was replaced by another one to the same address: its link is dead.",
    "invitation.accepted": "An invitation was accepted.",
    # domains
    "domain.claimed": "An e-mail domain was claimed; its proof is awaited.",
    "domain.verified": "An e-mail domain was proven.",
    "domain.released": "An e-mail domain was released.",
    # users
    "user.created": "A person was created.",
    "user.changed": "A person's username or claims were changed.",
    "user.disabled": "A person was disabled: they may do nothing anywhere.",
    "user.enabled": "A disabled person was enabled again.",
    "user.deleted": "A person was deleted.",
    "user.exported": "A person downloaded what is kept about them.",
    "user.address.added": "A person got another e-mail address.",
    "user.address.verified": "A person proved an e-mail address.",
    "user.address.primary": "A person's primary e-mail address was changed.",
    "user.address.removed": "An e-mail address was taken from a person.",
    "user.address.asked": "A link was mailed that lets a person prove an e-mail address.",
    "user.address.leaving": "A person gives an e-mail address up: it leaves them in some days.",
    "user.address.kept": "An e-mail address that was about to leave a person stays.",
    "user.address.undone": "Whoever reads a person's e-mail address undid what had happened to their addresses.",
    "user.password.set": "A person's password was set.",
    "user.password.removed": "A person's password was removed.",
    "user.recovery.mailed": "A person was mailed a link by which to set another password.",
    "user.recovered": "A person set another password by a mailed link.",
    "user.disowned": "A person said that something was not done by them: their sessions ended.",
    "user.factor.added": "A person set up a passkey, an authenticator app or codes by mail.",
    "user.factor.renamed": "A person's passkey or authenticator app was renamed.",
    "user.factor.removed": "A passkey, an authenticator app or codes by mail were taken from a person.",
    "user.factors.reset": "Every factor, recovery code, trusted browser and session was taken from a person.",
    "user.code.mailed": "A person was mailed a code to prove themselves with.",
    "user.factors.reset.asked": "Somebody asked to take every second factor from a person who has lost them.",
    "user.factors.reset.cancelled": "That every second factor is taken from a person was called off.",
    "user.enrol.link.made": "A link was made by which a person sets up a passkey.",
    "user.enrol.link.used": "A person set up a passkey by a link, or began to.",
    "user.passkey.went.back": "A passkey's counter did not grow: it may have been copied.",
    "user.codes.made": "A person got new recovery codes; the old ones are void.",
    "user.code.used": "A person used a recovery code.",
    "user.codes.removed": "A person's recovery codes are void.",
    "device.trusted": "A person chose to trust a browser.",
    "device.distrusted": "A browser is not trusted any more.",
    # sessions
    "session.opened": "A person signed in.",
    "session.stepped.up": "A person proved more, or anew, in a session.",
    "session.ended": "A session ended.",
    "signin.failed": "Somebody failed to prove who they are.",
    "signin.held.back": "Further attempts were held back for a time: too many had failed.",
    # operators
    "setup.link.made": "A link was made by which the first operator can be.",
    "operator.added": "A person became an operator of the installation.",
    "operator.changed": "An operator's instance role was changed.",
    "operator.removed": "A person is no longer an operator.",
    # clients
    "client.created": "A client was registered.",
    "client.changed": "A client's registration was changed.",
    "client.disabled": "A client was disabled: it may do nothing anywhere.",
    "client.enabled": "A disabled client was enabled again.",
    "client.deleted": "A client was deleted.",
    "client.switched.on": "A client was switched on in an organization.",
    "client.switched.off": "A client was switched off in an organization.",
    "client.secret.added": "A client got another secret.",
    "client.secret.removed": "A secret of a client was removed.",
    # authorizations
    "authorize.rejected": "A request named an address that the client has not registered; nobody was sent there.",
    "authorization.given": "A client was authorized to act for a person.",
    "authorization.ended": "An authorization ended, with every token that hangs on it.",
    "authorization.reuse": "A code or refresh token was used by somebody who should not have it.",
    "consent.given": "A person agreed that a client may act for them.",
    "consent.withdrawn": "A person's agreement with a client ended.",
    "token.revoked": "An access token was revoked by itself.",
    "tokens.revoked": "Everything issued to a person, a client or an organization, or at all, was revoked.",
    # APIs
    "api.created": "An API was declared.",
    "api.changed": "What an API declares was changed.",
    "api.deleted": "An API was withdrawn.",
    # keys
    "key.created": "A signing key was made.",
    "key.imported": "A signing key was brought along by an operator.",
    "key.rotated": "A younger signing key took over.",
    "key.retired": "A signing key left the key set.",
    "key.withdrawn": "A signing key was withdrawn at once: what it signed is refused.",
    "key.master.added": "A new master key seals from now on.",
    "key.master.resealed": "What an older master key had sealed was sealed anew.",
    "key.master.removed": "A master key is no longer needed.",
    # the trail itself
    "audit.exported": "Entries of the audit trail were exported.",
    "audit.erased": "Addresses, user agents and e-mails of audit entries were erased.",
    # the installation
    "feed.epoch.begun": "A new epoch began: every token issued before is refused.",
    "backup.made": "A backup was made.",
    "backup.restored": "A backup was restored.",
    "apply.applied": "A file of wanted objects was applied.",
    "export.made": "The objects of the installation were exported.",
}


class UnknownEvent(LookupError):
    """A rule recorded a name that the vocabulary lacks: add it to `EVENTS`."""


def known(event: str) -> str:
    """`event` itself. Raises `UnknownEvent` unless it stands in `EVENTS`."""
    if event not in EVENTS:
        raise UnknownEvent(f"{event!r} is not in idp/audit/events.py: add it there, with what it says")
    return event
