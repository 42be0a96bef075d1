"""What still stands between an authorization request and its code: gathered here, decided by `needs`.

Nothing is remembered of earlier decisions but the request, the sign-in that it asked for, and what its person agreed
to: every time a browser comes back, everything is looked at anew.
"""

from dataclasses import dataclass, replace

from sqlalchemy import select

from idp.clients.models import OPERATOR
from idp.clients.registered import RegisteredClient
from idp.login import contexts as choices
from idp.login import entering, identifiers
from idp.login.demands import Demand
from idp.login.entering import Evidence, Judged, Lacking
from idp.login.transactions import SignIn
from idp.oauth import audiences, authorizations, claims, codes, consent, contexts, id_tokens, subjects
from idp.oauth import scopes as all_scopes
from idp.oauth.audiences import Audience
from idp.oauth.authorizations import Decision
from idp.oauth.authorize import AuthorizeRequest
from idp.oauth.claims import Wishes
from idp.oauth.claims_request import ClaimsRequest, Wanted
from idp.oauth.consent import Given, Question, Shown
from idp.oauth.contexts import Entered, WantedContext
from idp.oauth.errors import (
    AccessDenied,
    InteractionRequired,
    InvalidRequest,
    InvalidTarget,
    LoginRequired,
    UnmetAuthenticationRequirements,
)
from idp.oauth.needs import OF_THE_PERSON, Need, Standing, next_need
from idp.organizations.effective import Context
from idp.organizations.models import Organization
from idp.platform import clock, database
from idp.platform.settings import settings
from idp.sessions import levels, people
from idp.sessions.levels import LEVELS, TWO_FACTORS, Level
from idp.sessions.models import Browser
from idp.sessions.people import LiveSession
from idp.users.locks import hold

NOBODY = "nobody"
"""Instead of a person's id: somebody is named, and there is no such person."""


# What is gathered


@dataclass(frozen=True)
class Asked:
    """A request that has passed every check, and what has come of it. `begun_at`: when it came in.

    `sign_in`: the last one that it sent the person to, if that is done. `agreed`: what the person agreed to on the
    consent page. `person`: the id of who has to sign in, or `NOBODY`, or empty. `named`: the context that parameters
    and scopes name.
    """

    request: AuthorizeRequest
    client: RegisteredClient
    begun_at: int
    person: str
    named: Context | None
    audiences: tuple[Audience, ...]
    sign_in: SignIn | None = None
    agreed: Shown | None = None

    @property
    def scope(self) -> tuple[str, ...]:
        """The scopes asked for that the client may get."""
        return all_scopes.allowed(self.request.scope, self.client, self.audiences)

    @property
    def max_age(self) -> int | None:
        """Microseconds that the last proof may be old; what is registered holds where the request is silent."""
        said = self.request.max_age
        registered = self.client.metadata.get("default_max_age")
        seconds = said if said is not None else registered if isinstance(registered, int) else None
        return None if seconds is None else seconds * clock.SECOND

    @property
    def acr(self) -> str:
        """The level that is aimed at: the first one asked for that means something; empty without."""
        return next((level for level in (*self.essential_acr, *self._wished_acr()) if level in LEVELS), "")

    @property
    def essential_acr(self) -> tuple[str, ...]:
        """The levels of which one must be met."""
        return self.request.claims.essential_acr

    @property
    def least_acr(self) -> str:
        """The weakest of these levels; empty where none of them means anything."""
        return min((level for level in self.essential_acr if level in LEVELS), key=levels.rank, default="")

    def _wished_acr(self) -> tuple[str, ...]:
        wished = (*self.request.acr_values, *self.request.claims.wished_acr)
        return wished or self.client.texts("default_acr_values")


@dataclass(frozen=True)
class Situation:
    """How a request stands in a browser. `choice`: the demand by which a context can be chosen, where one can be.

    `entered`: the context, `lacking`: what it takes yet (also of somebody who is asked for something else first),
    `question`: what has to be agreed to, and `given`: what was, once they are known.
    """

    standing: Standing
    session: LiveSession | None = None
    choice: Demand | None = None
    entered: Entered | None = None
    lacking: Lacking | None = None
    question: Question | None = None
    given: Given = consent.NOTHING

    @property
    def need(self) -> Need:
        """What is missing."""
        return next_need(self.standing)


def asked(request: AuthorizeRequest, client: RegisteredClient, *, begun_at: int) -> Asked:
    """The request with what can be read off it. Raises `InvalidTarget`, and `InvalidRequest` for a contradiction."""
    return Asked(
        request,
        client,
        begun_at,
        person=_person(request, client),
        named=contexts.asked(request.organization, request.account, request.scope),
        audiences=audiences.granted(request.resources, client),
    )


def look(asked: Asked, browser: Browser | None) -> Situation:
    """How the request stands. Raises what is sent back to the client when no answer of the person could help."""
    session = _session(asked, people.in_browser(browser))
    if session is None:
        return Situation(Standing(asked.request.prompt, is_signed_in=False))
    level = levels.of(session.proofs)
    situation = Situation(_of_person(asked, session, level), session)
    if situation.need in (Need.PROOF, Need.STRENGTH):
        return replace(situation, lacking=_lacking_there(asked, session))
    if situation.need in OF_THE_PERSON:
        return situation
    _require_essential(asked, level)
    situation = _in_context(asked, situation, session)
    if situation.need is Need.CONTEXT or situation.entered is None:
        return situation
    lacking = _lacking(asked, session, situation.entered)
    if lacking is not None:
        return replace(situation, standing=replace(situation.standing, is_enough=False), lacking=lacking)
    return _with_consent(asked, situation, session, situation.entered)


def conclude(asked: Asked, browser: Browser | None, user_id: str) -> str | None:
    """Authorize the client for that person and return the code; `None` when something is missing after all.

    The person's row is locked before everything is looked at, so that a disabling or a withdrawal is either seen here
    or ends what is made here. Inside `database.writing()`.
    """
    if not hold([user_id]):
        return None
    situation = look(asked, browser)
    session, question, entered = situation.session, situation.question, situation.entered
    if session is None or question is None or entered is None or session.user_id != user_id:
        return None
    if situation.need is not Need.NOTHING:
        return None
    if people.is_due(session):
        people.touch(session)
    request = asked.request
    decided = authorizations.begin(_decision(asked, session, question, situation.given, entered))
    return codes.issue(
        decided, asked.client.id, request.redirect_uri, request.code_challenge or None, request.nonce or None
    )


def demand(asked: Asked, situation: Situation, *, targets: tuple[str, ...]) -> Demand:
    """What `login` has to see to, for what is missing. `targets`: where its forms may lead."""
    if situation.need is Need.CONTEXT and situation.choice:
        return replace(situation.choice, targets=targets)
    lacking, session = situation.lacking, situation.session
    if situation.need is Need.ENTRY and lacking and session:
        return _to_enter(asked, lacking, session, targets)
    present = session if situation.need in (Need.PROOF, Need.STRENGTH) else None
    wanted = Demand(
        fresh="login" in asked.request.prompt,
        max_age=asked.max_age,
        acr=asked.acr,
        least=asked.least_acr,
        login_hint=asked.request.login_hint,
        person=present.user_id if present else asked.person,
        organizations=_hosts(asked),
        targets=targets,
    )
    return _with(wanted, lacking) if lacking else wanted


def _with(wanted: Demand, lacking: Lacking) -> Demand:
    """What is wanted of a person, and what lacks for where they are going, in one: nobody is asked twice."""
    return replace(
        wanted,
        max_age=min((age for age in (wanted.max_age, lacking.max_age) if age is not None), default=None),
        least=levels.highest(wanted.least, lacking.least),
        methods=lacking.methods,
        spares=lacking.spares and not levels.meets(wanted.acr, TWO_FACTORS),
    )


def _to_enter(asked: Asked, lacking: Lacking, session: LiveSession, targets: tuple[str, ...] = ()) -> Demand:
    """What lacks for the context, of the person who is signed in."""
    wanted = Demand(
        acr=asked.acr,
        least=asked.least_acr,
        person=session.user_id,
        organizations=_hosts(asked),
        targets=targets,
    )
    return _with(wanted, lacking)


def _hosts(asked: Asked) -> tuple[str, ...] | None:
    """The organization that the request is for, where it says so, or where the client is its own."""
    owner = "" if asked.client.owner == OPERATOR else asked.client.owner
    named = asked.named.organization_id if asked.named else owner
    known = database.session().scalar(select(Organization.id).where(Organization.id == named)) if named else None
    return (known,) if known else None


# Who


def _person(request: AuthorizeRequest, client: RegisteredClient) -> str:
    """The one person that will do: of the `id_token_hint`, or asked for by `sub` (OpenID Connect Core §3.1.2.2)."""
    named = set()
    hint = id_tokens.read_hint(request.id_token_hint, client.id) if request.id_token_hint else None
    if hint:
        named.add(hint.user_id)
    if request.claims.sub:
        named.add(subjects.person(request.claims.sub, client) or NOBODY)
    if len(named) > 1:
        raise InvalidRequest("id_token_hint and claims ask for different people")
    return next(iter(named), "")


def _session(asked: Asked, present: list[LiveSession]) -> LiveSession | None:
    """Who would be authorized for: who came of the sign-in, else who is meant, else who used the browser last."""
    if asked.sign_in is not None:
        present = [one for one in present if one.id == asked.sign_in.session_id]
    if asked.person:
        present = [one for one in present if one.user_id == asked.person]
    hinted = _hinted(asked)
    return next((one for one in present if one.user_id == hinted), next(iter(present), None))


def _hinted(asked: Asked) -> str:
    """Whom `login_hint` names, if anybody; empty without one. It is a wish, and authenticates nobody (AUZ-14).

    An ID token that says nothing (any more) is a wish for nobody who is here: they are asked.
    """
    if asked.request.id_token_hint and not asked.person:
        return NOBODY
    typed = identifiers.normal(asked.request.login_hint)
    return (identifiers.person(typed) or NOBODY) if typed else ""


def _of_person(asked: Asked, session: LiveSession, level: Level) -> Standing:
    age = clock.now() - session.authenticated_at
    said_who = asked.sign_in is not None
    return Standing(
        prompt=asked.request.prompt,
        is_meant=_hinted(asked) in ("", session.user_id),
        has_said_who=said_who,
        is_recent=asked.max_age is None or age <= asked.max_age,
        has_proven=said_who and _was_proven(asked, session),
        is_strong=not asked.acr or levels.meets(level.acr, asked.acr),
        can_be_stronger=asked.acr in LEVELS,
    )


def _was_proven(asked: Asked, session: LiveSession) -> bool:
    sign_in = asked.sign_in
    return session.authenticated_at >= asked.begun_at or (sign_in is not None and sign_in.demand.fresh)


def _require_essential(asked: Asked, level: Level) -> None:
    """OpenID Connect Core §5.5.1.1: an essential `acr` that is not met is a failed authentication."""
    essential = asked.essential_acr
    if essential and not any(levels.meets(level.acr, wanted) for wanted in essential):
        raise UnmetAuthenticationRequirements("none of the acr values asked for could be reached")


# Where


def _in_context(asked: Asked, situation: Situation, session: LiveSession) -> Situation:
    """Where the tokens would speak for, with the roles held there. Raises `AccessDenied` where that cannot be."""
    try:
        wanted = contexts.wanted(asked.client, asked.named, _hint_of_context(asked))
        if wanted.is_settled:
            entered = contexts.enter(session.user_id, wanted.context, asked.client)
            return replace(situation, entered=entered)
        choice = _choice(asked, wanted, session)
        chosen = _chosen(asked, choice)
        found = chosen or choices.only_one(session.user_id, choice)
        standing = replace(
            situation.standing, is_choice=True, is_decided=found is not None, has_chosen=chosen is not None
        )
        entered = contexts.enter(session.user_id, found, asked.client)
    except InvalidTarget as refusal:
        raise contexts.denied(refusal) from refusal
    return replace(situation, standing=standing, choice=choice, entered=entered)


def _choice(asked: Asked, wanted: WantedContext, session: LiveSession) -> Demand:
    """What could be chosen: where the person is active, and the client usable."""
    possible = contexts.possible(session.user_id, wanted, asked.client)
    return Demand(person=session.user_id, context=wanted.kind, organizations=possible, forced=True)


def _chosen(asked: Asked, choice: Demand) -> Context | None:
    """What was chosen for this request, if that can still be chosen."""
    if asked.sign_in is None or asked.sign_in.organization_id is None:
        return None
    context = Context(asked.sign_in.organization_id, asked.sign_in.account_id or "")
    return context if choice.is_within(context.organization_id) else None


def _hint_of_context(asked: Asked) -> Context | None:
    """Where the ID token was for, which counts where nobody may be asked."""
    if "none" not in asked.request.prompt or not asked.request.id_token_hint:
        return None
    hint = id_tokens.read_hint(asked.request.id_token_hint, asked.client.id)
    return Context(hint.organization_id, hint.account_id) if hint and hint.organization_id else None


def _lacking(asked: Asked, session: LiveSession, entered: Entered) -> Lacking | None:
    """What the context takes, or the client wishes for there, if more than was proven.

    Raises what is sent back where nothing could be proven now.
    """
    judged = entering.judge(session.user_id, entered.roles, Evidence(session.proofs, session.pause))
    lacking = judged.lacking or _grown_old(asked, judged)
    if lacking is None:
        return _wished(asked, judged, session)
    if "none" in asked.request.prompt:
        refusal = InteractionRequired if lacking.max_age is None else LoginRequired
        raise refusal("the organization demands more proof, or a newer one", error_detail=lacking.detail)
    if not lacking.can_be_proven or _was_asked_for(asked, _to_enter(asked, lacking, session)):
        raise AccessDenied("the organization demands more proof", error_detail=lacking.detail)
    return lacking


def _grown_old(asked: Asked, judged: Judged) -> Lacking | None:
    """That what counts in the context is older than the client takes, where something else was proven recently."""
    if asked.max_age is None or judged.proven_at >= min(clock.now() - asked.max_age, asked.begun_at):
        return None
    return Lacking("mfa_required", levels.NOTHING, judged.takes.methods, spares=False, max_age=asked.max_age)


def _lacking_there(asked: Asked, session: LiveSession) -> Lacking | None:
    """What the context takes yet that the request names; nothing where it has still to be found, or is refused."""
    try:
        wanted = contexts.wanted(asked.client, asked.named)
        entered = contexts.enter(session.user_id, wanted.context, asked.client) if wanted.is_settled else None
    except InvalidTarget:
        return None
    if entered is None:
        return None
    lacking = entering.judge(session.user_id, entered.roles, Evidence(session.proofs, session.pause)).lacking
    return lacking if lacking and lacking.can_be_proven else None


def _wished(asked: Asked, judged: Judged, session: LiveSession) -> Lacking | None:
    """What is missing of the level that is aimed at, or else of the weakest that is essential, where it was reached by
    what does not count in the context.

    Raises `InteractionRequired` where nobody may be asked, and `UnmetAuthenticationRequirements`.
    """
    reached = asked.acr if levels.meets(levels.of(session.proofs).acr, asked.acr) else asked.least_acr
    if not reached or levels.meets(judged.level.acr, reached):
        return None
    lacking = Lacking("mfa_required", levels.NOTHING, judged.takes.methods, spares=False)
    if "none" in asked.request.prompt:
        raise InteractionRequired("what was proven does not count there", error_detail=lacking.detail)
    if not _was_asked_for(asked, _to_enter(asked, lacking, session)):
        return lacking
    _require_essential(asked, judged.level)
    return None


def _was_asked_for(asked: Asked, wanted: Demand) -> bool:
    """Whether the person was just asked for exactly this, to no avail: they are not asked in a circle."""
    done = asked.sign_in.demand if asked.sign_in else None
    if done is None or wanted.max_age not in (None, done.max_age):
        return False
    return (done.acr, done.least, done.methods) == (wanted.acr, wanted.least, wanted.methods)


# What is agreed


def _with_consent(asked: Asked, situation: Situation, session: LiveSession, entered: Entered) -> Situation:
    question = Question(
        client=asked.client,
        user_id=session.user_id,
        organization_id=entered.context.organization_id if entered.context else "",
        scope=tuple(dict.fromkeys((*asked.scope, *_behind(asked)))),
        resources=_reach(asked),
        redirect_uri=asked.request.redirect_uri,
    )
    given = consent.remembered(question)
    has_agreed = _has_agreed(asked, question) and given.covers(question)
    standing = replace(situation.standing, is_agreed=consent.is_agreed(question, given), has_agreed=has_agreed)
    return replace(situation, standing=standing, question=question, given=given)


def _has_agreed(asked: Asked, question: Question) -> bool:
    return asked.agreed is not None and asked.agreed.answers(question)


def _reach(asked: Asked) -> tuple[str, ...]:
    """The APIs, and which of the scopes wanted each of them has: scopes of two APIs may have one name."""
    known = [(audience.uri, audience.scopes) for audience in asked.audiences]
    scopes = [f"{uri}#{scope}" for uri, declared in known for scope in asked.scope if scope in declared]
    return (*(uri for uri, _ in known), *scopes)


def _behind(asked: Asked) -> tuple[str, ...]:
    """The scopes behind claims asked for by name, of those that the client may ask for: no name gets around them."""
    wanted = asked.request.claims
    named = sorted(claims.scopes_behind((*wanted.id_token, *wanted.userinfo)))
    return all_scopes.allowed(named, asked.client, asked.audiences)


# What it comes to


def _decision(asked: Asked, session: LiveSession, question: Question, given: Given, entered: Entered) -> Decision:
    agreed = consent.granted(question, given, asked=_has_agreed(asked, question))
    scope = tuple(one for one in asked.scope if one in agreed)
    level, lifetimes = levels.of(session.proofs), settings().lifetimes
    return Decision(
        client_id=asked.client.id,
        user_id=session.user_id,
        session_id=session.id,
        subject=subjects.of(session.user_id, asked.client),
        scope=scope,
        resources=tuple(audience.uri for audience in asked.audiences),
        organization_id=entered.context.organization_id if entered.context else None,
        account_id=(entered.context.account_id or None) if entered.context else None,
        claims_json=Wishes(_agreed_claims(asked.request.claims, agreed), asked.request.claims_locales).dump(),
        auth_time=session.authenticated_at,
        acr=level.acr,
        amr=level.amr,
        proofs=session.proofs,
        offline=all_scopes.OFFLINE in scope,
        lifetime=lifetimes.public_refresh_max if asked.client.is_public else lifetimes.refresh_max,
    )


def _agreed_claims(wanted: ClaimsRequest, agreed: tuple[str, ...]) -> ClaimsRequest:
    """Less those whose scope the person did not agree to."""
    return ClaimsRequest(_told(wanted.id_token, agreed), _told(wanted.userinfo, agreed))


def _told(wanted: Wanted, agreed: tuple[str, ...]) -> Wanted:
    return {name: said for name, said in wanted.items() if claims.scopes_behind((name,)) <= set(agreed)}
