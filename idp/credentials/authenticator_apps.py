"""Authenticator apps (TOTP, RFC 6238): set up with one code that is right, then each code is taken once.

Six digits, SHA-1, a new code every 30 seconds: what every app can do. The code of one step before and after now is
taken, too, and never one of a step that is not later than the last one taken (§5.2).
"""

import base64
import binascii
import hmac
from dataclasses import dataclass

import pyotp
import segno
from markupsafe import Markup
from sqlalchemy import delete, exists, select, update

from idp.audit.trail import Actor
from idp.credentials import factors
from idp.credentials.models import AppEnrolment, AuthenticatorApp, Factor
from idp.platform import clock, database, identifiers, typed_codes, vault
from idp.platform.errors import Conflict, Invalid
from idp.platform.pages import PRODUCT
from idp.users import users
from idp.users.locks import lock
from idp.users.models import User

STEP = 30 * clock.SECOND
"""How long a code is shown."""

DRIFT = 1
"""How many steps the clock of an app may be off, each way."""

DIGITS = 6

PENDING = 10 * clock.MINUTE
"""How long a secret that was shown waits for the first code."""

SHORTEST_SECRET = 14
"""Bytes that a secret made elsewhere has at least (NIST SP 800-63B: 112 bits); ours has 20, as RFC 4226 §4 advises."""

LONGEST_SECRET = 128


class AppThere(Conflict):
    """Another authenticator app is set up already: it is not replaced by the way."""

    code = "app_there"
    title = "An authenticator app is set up already"
    remedy = "Remove it first, or replace it on the page about your security."


@dataclass(frozen=True)
class Setup:
    """An app that is being set up. `secret`: base32 in groups of four, to be typed; `uri`: the same as `otpauth:`, for
    an app on this device; `picture`: that as a QR code, an SVG of dark squares on white with its quiet zone.
    """

    secret: str
    uri: str
    picture: Markup


def pending(user_id: str, bound_to: str) -> Setup | None:
    """What was begun for that person in that sign-in or session, while it can be confirmed."""
    row = _pending(user_id, bound_to)
    return None if row is None else _shown(user_id, _open(row))


def has(user_id: str) -> bool:
    """Whether the person has an authenticator app."""
    return _of(user_id) is not None


def secret_of(user_id: str) -> bytes:
    """The secret of the person's app; empty without one. Nobody is ever told it again."""
    app = _of(user_id)
    return b"" if app is None else _open(app)


def parse_secret(text: str) -> bytes:
    """The secret that `text` says in base32, whatever its case and spaces. Raises `Invalid`, without repeating it."""
    plain = "".join(text.split()).replace("-", "").upper().rstrip("=")
    try:
        secret = base64.b32decode(plain + "=" * (-len(plain) % 8))
    except (binascii.Error, ValueError):
        raise Invalid("the secret of an authenticator app is written in base32", field="totp_secret") from None
    if not SHORTEST_SECRET <= len(secret) <= LONGEST_SECRET:
        bounds = f"from {SHORTEST_SECRET} to {LONGEST_SECRET} bytes"
        raise Invalid(f"the secret of an authenticator app has {bounds}", field="totp_secret")
    return secret


# Each of these is called inside `database.writing()`


def begin(user_id: str, bound_to: str) -> Setup:
    """Have an app set up in that sign-in or session (`bound_to`, an id); the same secret again while it is pending.

    Nothing counts before `confirm`.
    """
    lock(user_id)
    row = _pending(user_id, bound_to)
    if row is None:
        _forget_enrolments(user_id, bound_to)
        id = identifiers.enrolment()
        row = AppEnrolment(id=id, user_id=user_id, bound_to=bound_to, expires_at=clock.now() + PENDING)
        _seal(row, id, base64.b32decode(pyotp.random_base32()))
        database.session().add(row)
        database.session().flush()
    return _shown(user_id, _open(row))


def confirm(user_id: str, bound_to: str, code: str, *, by: Actor, replaces: str = "") -> Factor | None:
    """The person's new app, if `code` is one that the secret gives which was shown in that very sign-in or session.

    `replaces`: the id of the app that it takes the place of, whose owner has proven enough to remove it; what was
    proven with that one is the caller's to retract. Raises `AppThere` for any other, and `NotFound`.
    """
    lock(user_id)
    row = _pending(user_id, bound_to)
    if row is None:
        return None
    secret = _open(row)
    step = _step(secret, code)
    if step is None or not _claim(row):
        return None
    return _add(user_id, secret, step, by=by, replaces=replaces)


def store(user_id: str, secret: bytes, *, by: Actor) -> Factor:
    """An app with a secret that was made elsewhere (`parse_secret`). Raises `AppThere`."""
    lock(user_id)
    return _add(user_id, secret, 0, by=by)


def verify(user_id: str, code: str) -> str | None:
    """The id of the person's app if `code` is one that it shows now and that was not taken before, else `None`.

    One statement takes the step of the code, and all before it: of two that come with the same code one is right.
    """
    lock(user_id)
    app = _of(user_id)
    step = None if app is None else _step(_open(app), code)
    if app is None or step is None:
        return None
    live = exists().where(Factor.id == app.factor_id, Factor.ended_at.is_(None))
    mine = update(AuthenticatorApp).where(
        AuthenticatorApp.factor_id == app.factor_id, AuthenticatorApp.last_step < step, live
    )
    taken = database.session().execute(mine.values(last_step=step), execution_options={"synchronize_session": False})
    if not taken.rowcount:  # type: ignore[attr-defined]
        return None
    factors.used(app.factor_id)
    return app.factor_id


def clean_up(limit: int = 500) -> int:
    """Delete up to `limit` secrets each that nobody confirmed in time, and of apps that were removed; how many."""
    late = select(AppEnrolment.id).where(AppEnrolment.expires_at < clock.now()).limit(limit)
    removed = select(AuthenticatorApp.factor_id).join(Factor).where(Factor.ended_at.is_not(None)).limit(limit)
    run = database.session().execute
    gone = run(delete(AppEnrolment).where(AppEnrolment.id.in_(late)))
    also = run(delete(AuthenticatorApp).where(AuthenticatorApp.factor_id.in_(removed)))
    return int(gone.rowcount + also.rowcount)  # type: ignore[attr-defined]


def forget(user: User, by: Actor) -> None:
    """A step of `lifecycle.before_deleting`: no secret of a deleted person is kept."""
    mine = select(Factor.id).where(Factor.user_id == user.id)
    database.session().execute(delete(AppEnrolment).where(AppEnrolment.user_id == user.id))
    database.session().execute(delete(AuthenticatorApp).where(AuthenticatorApp.factor_id.in_(mine)))


# Codes


def _step(secret: bytes, code: str) -> int | None:
    """The latest step from which `code` may come now; `None` for any other text."""
    digits = typed_codes.digits(code)
    now = clock.now() // STEP
    given = pyotp.TOTP(base64.b32encode(secret).decode(), digits=DIGITS)
    near = range(max(now - DRIFT, 0), now + DRIFT + 1)
    right = [step for step in near if hmac.compare_digest(given.generate_otp(step).encode(), digits.encode())]
    return max(right, default=None)


# Rows


def _add(user_id: str, secret: bytes, step: int, *, by: Actor, replaces: str = "") -> Factor:
    if replaces:
        factors.end(user_id, replaces, by=by)
    if has(user_id):
        raise AppThere
    factor = factors.add(user_id, "totp", "", by=by)
    app = AuthenticatorApp(factor_id=factor.id, last_step=step)
    _seal(app, factor.id, secret)
    database.session().add(app)
    database.session().flush()
    return factor


def _of(user_id: str) -> AuthenticatorApp | None:
    wanted = select(AuthenticatorApp).join(Factor).where(Factor.user_id == user_id, Factor.ended_at.is_(None))
    return database.session().scalars(wanted, execution_options={"populate_existing": True}).one_or_none()


def _pending(user_id: str, bound_to: str) -> AppEnrolment | None:
    wanted = select(AppEnrolment).where(
        AppEnrolment.user_id == user_id,
        AppEnrolment.bound_to == bound_to,
        AppEnrolment.used_at.is_(None),
        AppEnrolment.expires_at > clock.now(),
    )
    return database.session().scalars(wanted, execution_options={"populate_existing": True}).one_or_none()


def _claim(row: AppEnrolment) -> bool:
    """Take the enrolment, once."""
    mine = update(AppEnrolment).where(AppEnrolment.id == row.id, AppEnrolment.used_at.is_(None))
    taken = database.session().execute(mine.values(used_at=clock.now()))
    return bool(taken.rowcount)  # type: ignore[attr-defined]


def _forget_enrolments(user_id: str, bound_to: str) -> None:
    old = delete(AppEnrolment).where(AppEnrolment.user_id == user_id, AppEnrolment.bound_to == bound_to)
    database.session().execute(old)


def _shown(user_id: str, secret: bytes) -> Setup:
    text = base64.b32encode(secret).decode()
    person = users.find(user_id).username
    uri = pyotp.TOTP(text, digits=DIGITS).provisioning_uri(name=person, issuer_name=PRODUCT)
    drawn = segno.make(uri, error="m", micro=False).svg_inline(
        border=4, dark="#000", light="#fff", svgclass="qr", lineclass=None, omitsize=True
    )
    grouped = " ".join(text[at : at + 4] for at in range(0, len(text), 4))
    return Setup(grouped, uri, Markup(drawn))  # noqa: S704 drawn by segno, and contains nothing that anybody typed


def _seal(row: AppEnrolment | AuthenticatorApp, id: str, secret: bytes) -> None:
    row.secret = vault.seal(secret, table=row.__tablename__, column="secret", row=id)
    row.sealed_by = vault.sealed_by(row.secret)


def _open(row: AppEnrolment | AuthenticatorApp) -> bytes:
    id = row.id if isinstance(row, AppEnrolment) else row.factor_id
    return vault.open(row.secret, table=row.__tablename__, column="secret", row=id)
