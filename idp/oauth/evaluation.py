"""Evaluations (AuthZEN Authorization API 1.0): may this person or client do that there, asked by an API as of now.

For work that outlives a token: the service stored person, context and permission, and asks again when it runs. The
answer is that of `organizations.effective`, the one that tokens get.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from idp.clients.registered import RegisteredClient
from idp.oauth import contexts, subjects
from idp.oauth.errors import InvalidRequest
from idp.organizations.effective import Context, Holder, effective_roles, held_permissions, permissions_in
from idp.platform.strict_json import Json

MOST: Final = 50
"""Evaluations in one request."""

EXECUTE_ALL: Final = "execute_all"
STOPS_AT: Final[Mapping[str, bool | None]] = {
    EXECUTE_ALL: None,
    "deny_on_first_deny": False,
    "permit_on_first_permit": True,
}
"""The ways to go through several evaluations (§7.1.2.1), each with the decision that ends it."""

_DEFAULTS: Final[tuple[str, ...]] = ("subject", "action", "resource", "context")


@dataclass(frozen=True)
class Question:
    """Whether `holder` holds `name`, a permission or (`is_role`) the key of a role, in `context`."""

    holder: Holder
    name: str
    is_role: bool
    context: Context

    @classmethod
    def parse(cls, asked: Json) -> "Question":
        """The question that a request asks (§6.1).

        `subject`: of type `user` (the `sub` of tokens) or `client`. `action`: its name is that of a permission, or with
        the property `kind` `role` the key of a role. `resource`: of type `organization` or `account`; with the property
        `org_id` the account counts in that organization alone. Raises `InvalidRequest`.
        """
        subject, action, resource = (_object(asked, name) for name in ("subject", "action", "resource"))
        kind = _properties(action).get("kind", "permission")
        if kind not in ("permission", "role"):
            raise InvalidRequest("action.properties.kind is permission or role")
        return cls(_holder(subject), _text(action, "name"), kind == "role", _context(resource))


def decide(question: Question, api: RegisteredClient) -> bool:
    """Whether so, now. Permissions count as the APIs declare them that `api` serves, in the mode of the account."""
    held = effective_roles(question.holder, question.context)
    if question.is_role:
        return question.name in held.roles
    return any(
        question.name in permissions_in(found, livemode=held.livemode)
        for audience in sorted(api.serves)
        if (found := held_permissions(question.holder, question.context, audience=audience))
    )


def answer(asked: Json, api: RegisteredClient) -> dict[str, Json]:
    """The answer to one evaluation (§6.2). Raises `InvalidRequest`."""
    return {"decision": decide(Question.parse(asked), api)}


def answer_all(asked: Json, api: RegisteredClient) -> dict[str, Json]:
    """The answers to several (§7), in their order; what stands beside them holds where one says nothing else.

    One that cannot be understood is denied and says why. None at all: the answer to what stands there. Raises
    `InvalidRequest` for more than `MOST` and for what is no request.
    """
    if not isinstance(asked, dict):
        raise InvalidRequest("a JSON object is expected")
    several = asked.get("evaluations")
    if not several:
        return answer(asked, api)
    if not isinstance(several, list) or len(several) > MOST:
        raise InvalidRequest(f"evaluations is a list of at most {MOST}")
    stops_at = _stops_at(asked)
    defaults = {name: asked[name] for name in _DEFAULTS if name in asked}
    return {"evaluations": list(_until(stops_at, (_one(defaults, one, api) for one in several)))}


def _one(defaults: dict[str, Json], asked: Json, api: RegisteredClient) -> dict[str, Json]:
    try:
        return answer({**defaults, **asked} if isinstance(asked, dict) else asked, api)
    except InvalidRequest as refusal:
        return {"decision": False, "context": {"error": {"status": refusal.status, "message": refusal.message}}}


def _until(stops_at: bool | None, answers: Iterator[dict[str, Json]]) -> Iterator[dict[str, Json]]:
    for one in answers:
        yield one
        if one["decision"] is stops_at:
            return


def _stops_at(asked: dict[str, Json]) -> bool | None:
    options = asked.get("options", {})
    semantic = options.get("evaluations_semantic", EXECUTE_ALL) if isinstance(options, dict) else None
    if not isinstance(semantic, str) or semantic not in STOPS_AT:
        raise InvalidRequest(f"options.evaluations_semantic is one of {', '.join(STOPS_AT)}")
    return STOPS_AT[semantic]


# What is asked about


def _holder(subject: dict[str, Json]) -> Holder:
    kind, id = _text(subject, "type"), _text(subject, "id")
    if kind not in _HOLDERS:
        raise InvalidRequest("subject.type is user or client")
    return _HOLDERS[kind](id)


_HOLDERS: Final[Mapping[str, Callable[[str], Holder]]] = {
    "user": lambda id: Holder(user_id=subjects.whoever(id)),
    "client": lambda id: Holder(client_id=id),
}


def _context(resource: dict[str, Json]) -> Context:
    """Where; what does not exist is a context in which nobody holds anything."""
    kind, id = _text(resource, "type"), _text(resource, "id")
    if kind not in ("organization", "account"):
        raise InvalidRequest("resource.type is organization or account")
    organization_id = _properties(resource).get("org_id", "")
    if not isinstance(organization_id, str):
        raise InvalidRequest("resource.properties.org_id is no text")
    if kind == "account":
        return contexts.asked(organization_id, id) or Context("", id)
    if organization_id not in ("", id):
        raise InvalidRequest("resource.id and resource.properties.org_id name two organizations")
    return Context(id)


def _object(asked: Json, name: str) -> dict[str, Json]:
    value = asked.get(name) if isinstance(asked, dict) else None
    if not isinstance(value, dict):
        raise InvalidRequest(f"{name} is missing or no object")
    return value


def _properties(asked: dict[str, Json]) -> dict[str, Json]:
    return _object(asked, "properties") if "properties" in asked else {}


def _text(asked: dict[str, Json], name: str) -> str:
    value = asked.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidRequest(f"{name} is missing or no text")
    return value
