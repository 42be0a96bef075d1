"""How far a sign-in has come: what `steps` decides by, gathered."""

from idp.login import steps
from idp.login.steps import Standing, Step
from idp.login.transactions import SignIn
from idp.sessions import people
from idp.sessions.models import Browser


def step_of(sign_in: SignIn, browser: Browser | None) -> Step:
    """What is asked next in this sign-in."""
    return steps.next_step(standing(sign_in, browser))


def standing(sign_in: SignIn, browser: Browser | None) -> Standing:
    """How far the sign-in has come. A session that ended meanwhile does not count: its person proves anew."""
    return Standing(
        is_named=sign_in.is_named,
        is_signed_in=any(
            one.id == sign_in.session_id and one.user_id == sign_in.user_id for one in people.in_browser(browser)
        ),
        proven=frozenset(proof.method for proof in sign_in.proofs),
        wants_context=sign_in.demand.wants_context(),
        has_context=sign_in.organization_id is not None,
    )
