"""What a plan consists of: frozen steps, each with its place in the file, in words, and by names.

`ORDER` is the order in which they are carried out: what gives comes before what takes, so that nobody is without an
owner or a primary address in between, and what is referred to is made before what refers to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import ClassVar

from idp.cli.apply.places import Place
from idp.clients.apis import ApiSettings
from idp.clients.metadata import Metadata
from idp.keys.material import KeyPair
from idp.organizations.account_groups import GroupSettings
from idp.organizations.accounts import AccountSettings
from idp.organizations.organizations import OrganizationSettings
from idp.organizations.policies import PolicySettings
from idp.organizations.roles import RoleSettings
from idp.organizations.teams import TeamSettings
from idp.platform import clock
from idp.users.users import UserSettings


@dataclass(frozen=True, slots=True)
class Ref:
    """Something, by its kind and its name; `id` is empty for what the plan makes."""

    kind: str
    name: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One act upon `subject`, asked for at `place`."""

    place: Place
    subject: Ref

    ACT: ClassVar[str] = ""
    """The act as programs know it."""

    SAYS: ClassVar[str] = ""
    """The act in words, with the step's fields in braces."""

    def words(self) -> str:
        """What will be done, for people: without any secret."""
        return self.SAYS.format(**{one.name: getattr(self, one.name) for one in fields(self)})


@dataclass(frozen=True, slots=True)
class Inside(Step):
    """A step within an organization."""

    organization: Ref


# APIs


@dataclass(frozen=True, slots=True)
class DeclareApi(Step):
    ACT, SAYS = "api.declare", "declare the API {subject.name}: {difference}"
    wanted: ApiSettings
    id: str
    difference: str


class WithdrawApi(Step):
    ACT, SAYS = "api.withdraw", "withdraw the API {subject.name}"


# People


@dataclass(frozen=True, slots=True)
class AddAddress(Step):
    ACT, SAYS = "user.address.add", "give {subject.name} the address {address}"
    address: str
    is_verified: bool


@dataclass(frozen=True, slots=True)
class VerifyAddress(Step):
    ACT, SAYS = "user.address.verify", "take {address} as proven by {subject.name}"
    address: str


@dataclass(frozen=True, slots=True)
class MakePrimary(Step):
    ACT, SAYS = "user.address.primary", "make {address} the primary address of {subject.name}"
    address: str


@dataclass(frozen=True, slots=True)
class ChangeUser(Step):
    ACT, SAYS = "user.change", "change {subject.name}: {difference}"
    wanted: UserSettings
    difference: str


@dataclass(frozen=True, slots=True)
class RemoveAddress(Step):
    ACT, SAYS = "user.address.remove", "take the address {address} from {subject.name}"
    address: str


@dataclass(frozen=True, slots=True)
class CreateUser(Step):
    ACT, SAYS = "user.create", "create the person {subject.name}"
    wanted: UserSettings
    id: str
    email: str
    is_verified: bool


class EnableUser(Step):
    ACT, SAYS = "user.enable", "enable {subject.name}"


class DisableUser(Step):
    ACT, SAYS = "user.disable", "disable {subject.name}, who may then do nothing anywhere"


class DeleteUser(Step):
    ACT, SAYS = "user.delete", "delete the person {subject.name}"


@dataclass(frozen=True, slots=True)
class SetPassword(Step):
    ACT, SAYS = "user.password.set", "set the password of {subject.name}"
    hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SetApp(Step):
    ACT, SAYS = "user.app.set", "set the authenticator app of {subject.name}"
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SetCodes(Step):
    ACT, SAYS = "user.codes.set", "set the recovery codes of {subject.name}; others are void"
    codes: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class AddOperator(Step):
    ACT, SAYS = "operator.add", "let {subject.name} run the installation as {role}"
    role: str


class RemoveOperator(Step):
    ACT, SAYS = "operator.remove", "let {subject.name} run the installation no longer"


# Organizations


@dataclass(frozen=True, slots=True)
class FoundOrganization(Step):
    ACT, SAYS = "organization.found", "found the organization {subject.name}, owned by {owner.name}"
    wanted: OrganizationSettings
    owner: Ref
    id: str
    member_id: str


@dataclass(frozen=True, slots=True)
class ChangeOrganization(Step):
    ACT, SAYS = "organization.change", "rename the organization {before} to {wanted.slug} ({wanted.name})"
    wanted: OrganizationSettings
    before: str


class ResumeOrganization(Step):
    ACT, SAYS = "organization.resume", "end the suspension of {subject.name}"


class SuspendOrganization(Step):
    ACT, SAYS = "organization.suspend", "suspend {subject.name}: nothing counts in it"


class CloseOrganization(Step):
    ACT, SAYS = "organization.close", "close {subject.name} for good"


@dataclass(frozen=True, slots=True)
class ChangePolicies(Step):
    ACT, SAYS = "organization.policies", "change the policies of {subject.name}: {difference}"
    wanted: PolicySettings
    difference: str


@dataclass(frozen=True, slots=True)
class TransferOwnership(Inside):
    """`subject` is the member who becomes owner."""

    ACT, SAYS = "organization.owner", "make {subject.name} the owner of {organization.name}"


@dataclass(frozen=True, slots=True)
class NameDeputy(Inside):
    """`deputy`: a member, or `None` for none."""

    ACT = "organization.deputy"
    deputy: Ref | None

    def words(self) -> str:
        """Who is deputy, or that nobody is."""
        if self.deputy is None:
            return f"let {self.organization.name} have no deputy"
        return f"name {self.deputy.name} deputy of {self.organization.name}"


# Accounts and groups


@dataclass(frozen=True, slots=True)
class OpenAccount(Inside):
    ACT, SAYS = "account.open", "open the account {subject.name}"
    wanted: AccountSettings
    livemode: bool
    id: str


@dataclass(frozen=True, slots=True)
class ChangeAccount(Inside):
    ACT, SAYS = "account.change", "change the account {subject.name}: {difference}"
    wanted: AccountSettings
    difference: str


class ResumeAccount(Inside):
    ACT, SAYS = "account.resume", "end the suspension of the account {subject.name}"


class SuspendAccount(Inside):
    ACT, SAYS = "account.suspend", "suspend the account {subject.name}: nothing counts in it"


class CloseAccount(Inside):
    ACT, SAYS = "account.close", "close the account {subject.name} for good"


@dataclass(frozen=True, slots=True)
class CreateGroup(Inside):
    ACT, SAYS = "group.create", "create the account group {subject.name}"
    wanted: GroupSettings
    id: str


@dataclass(frozen=True, slots=True)
class ChangeGroup(Inside):
    ACT, SAYS = "group.change", "change the account group {subject.name}: {difference}"
    wanted: GroupSettings
    difference: str


class DeleteGroup(Inside):
    ACT, SAYS = "group.delete", "delete the account group {subject.name}"


@dataclass(frozen=True, slots=True)
class FillGroup(Inside):
    ACT, SAYS = "group.account.add", "put {account.name} into the group {subject.name}"
    account: Ref


@dataclass(frozen=True, slots=True)
class EmptyGroup(Inside):
    ACT, SAYS = "group.account.remove", "take {account.name} out of the group {subject.name}"
    account: Ref


# Roles, teams and domains


@dataclass(frozen=True, slots=True)
class CreateRole(Inside):
    ACT, SAYS = "role.create", "create the role {subject.name}: {difference}"
    wanted: RoleSettings
    id: str
    difference: str


@dataclass(frozen=True, slots=True)
class ChangeRole(Inside):
    ACT, SAYS = "role.change", "change the role {subject.name}: {difference}"
    wanted: RoleSettings
    difference: str


class DeleteRole(Inside):
    ACT, SAYS = "role.delete", "delete the role {subject.name}"


@dataclass(frozen=True, slots=True)
class CreateTeam(Inside):
    ACT, SAYS = "team.create", "create the team {subject.name}"
    wanted: TeamSettings
    id: str


@dataclass(frozen=True, slots=True)
class ChangeTeam(Inside):
    ACT, SAYS = "team.change", "change the team {subject.name}: {difference}"
    wanted: TeamSettings
    difference: str


class DeleteTeam(Inside):
    ACT, SAYS = "team.delete", "delete the team {subject.name}"


@dataclass(frozen=True, slots=True)
class JoinTeam(Inside):
    ACT, SAYS = "team.member.add", "put {member.name} into the team {subject.name}"
    member: Ref


@dataclass(frozen=True, slots=True)
class LeaveTeam(Inside):
    ACT, SAYS = "team.member.remove", "take {member.name} out of the team {subject.name}"
    member: Ref


@dataclass(frozen=True, slots=True)
class ClaimDomain(Inside):
    ACT, SAYS = "domain.claim", "claim the domain {subject.name} for {organization.name}"
    id: str


class ConfirmDomain(Inside):
    ACT, SAYS = "domain.confirm", "take the domain {subject.name} as proven by {organization.name}"


class ReleaseDomain(Inside):
    ACT, SAYS = "domain.release", "release the domain {subject.name} of {organization.name}"


# Members


@dataclass(frozen=True, slots=True)
class AddMember(Inside):
    ACT, SAYS = "member.add", "make {user.name} a member of {organization.name} ({status})"
    user: Ref
    status: str
    id: str


class ActivateMember(Inside):
    ACT, SAYS = "member.activate", "make the membership of {subject.name} in {organization.name} active"


class SuspendMember(Inside):
    ACT, SAYS = "member.suspend", "suspend {subject.name} in {organization.name}"


class RemoveMember(Inside):
    ACT, SAYS = "member.remove", "remove {subject.name} from {organization.name}"


# Grants


@dataclass(frozen=True, slots=True)
class GrantRole(Inside):
    """`subject` is the grantee; `until`: microseconds UTC, or `None` for always."""

    ACT = "grant.make"
    role: str
    scope: Ref
    until: int | None

    def words(self) -> str:
        """Who gets what, where, until when."""
        until = "" if self.until is None else f" until {clock.iso(self.until)}"
        return f"grant {self.role} at {self.scope.name} to {_grantee(self)}{until}"


@dataclass(frozen=True, slots=True)
class EndGrant(Inside):
    """`subject` is the grantee."""

    ACT = "grant.end"
    role: str
    scope: Ref
    grant_id: str

    def words(self) -> str:
        """Who loses what, where."""
        return f"end the grant of {self.role} at {self.scope.name} to {_grantee(self)}"


def _grantee(step: GrantRole | EndGrant) -> str:
    return step.subject.name if step.subject.kind == "member" else f"{step.subject.kind} {step.subject.name}"


# Clients


@dataclass(frozen=True, slots=True)
class ClientPlan:
    """A client as it is to be, with references where `ClientSettings` has ids."""

    metadata: Metadata
    kind: str
    organization: Ref | None
    account: Ref | None
    enabled_for: frozenset[Ref] | None
    first_party: bool


@dataclass(frozen=True, slots=True)
class CreateClient(Step):
    """`owner`: the organization, or `None` for the operator."""

    ACT, SAYS = "client.create", "register the client {subject.name}"
    wanted: ClientPlan
    owner: Ref | None


@dataclass(frozen=True, slots=True)
class ChangeClient(Step):
    ACT, SAYS = "client.change", "change the client {subject.name}: {difference}"
    wanted: ClientPlan
    difference: str


@dataclass(frozen=True, slots=True)
class AddSecret(Step):
    ACT, SAYS = "client.secret.add", "give the client {subject.name} the secret of the file"
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SwitchClient(Step):
    ACT = "client.switch"
    organization: Ref
    on: bool

    def words(self) -> str:
        """On or off, and where."""
        return f"switch the client {self.subject.name} {'on' if self.on else 'off'} in {self.organization.name}"


class EnableClient(Step):
    ACT, SAYS = "client.enable", "enable the client {subject.name}"


class DisableClient(Step):
    ACT, SAYS = "client.disable", "disable the client {subject.name}, which may then do nothing anywhere"


class DeleteClient(Step):
    ACT, SAYS = "client.delete", "delete the client {subject.name}"


# Signing keys


@dataclass(frozen=True, slots=True)
class BringKey(Step):
    ACT, SAYS = "key.bring", "take in the signing key {subject.name}"
    pair: KeyPair = field(repr=False)


class RetireKey(Step):
    ACT, SAYS = "key.retire", "retire the signing key {subject.name}"


ORDER: tuple[type[Step], ...] = (
    DeclareApi,
    AddAddress,
    VerifyAddress,
    MakePrimary,
    ChangeUser,
    RemoveAddress,
    CreateUser,
    EnableUser,
    FoundOrganization,
    ChangeOrganization,
    ResumeOrganization,
    ChangePolicies,
    ChangeAccount,
    OpenAccount,
    ResumeAccount,
    ChangeGroup,
    CreateGroup,
    ChangeRole,
    CreateRole,
    ChangeTeam,
    CreateTeam,
    ClaimDomain,
    ConfirmDomain,
    AddMember,
    ActivateMember,
    CreateClient,
    ChangeClient,
    AddSecret,
    SwitchClient,
    EnableClient,
    FillGroup,
    JoinTeam,
    GrantRole,
    TransferOwnership,
    NameDeputy,
    LeaveTeam,
    EmptyGroup,
    EndGrant,
    SuspendMember,
    RemoveMember,
    DeleteTeam,
    DeleteGroup,
    DeleteRole,
    SuspendAccount,
    CloseAccount,
    ReleaseDomain,
    SuspendOrganization,
    CloseOrganization,
    SetPassword,
    SetApp,
    SetCodes,
    AddOperator,
    RemoveOperator,
    DisableUser,
    DeleteUser,
    DisableClient,
    DeleteClient,
    WithdrawApi,
    BringKey,
    RetireKey,
)

_PLACES: Mapping[type[Step], int] = {kind: place for place, kind in enumerate(ORDER)}


def place_in_order(step: Step) -> tuple[int, bool]:
    """What steps are sorted by: their place in `ORDER`; further addresses of a new person follow the person."""
    if isinstance(step, AddAddress) and not step.subject.id:
        return _PLACES[CreateUser], True
    return _PLACES[type(step)], False
