"""`idp keys`: signing keys and master keys."""

import click

from idp.cli import output
from idp.cli.door import Failure, Noun, operator
from idp.cli.output import Json, moment
from idp.keys import master_keys, material, rotation
from idp.keys.material import SLOTS
from idp.keys.rotation import Listed
from idp.platform import database

keys = Noun("keys", help="Signing keys, and the master keys that seal them.")


@keys.command("list")
def list_() -> Json:
    """Every signing key there is or was."""
    return [_view(key) for key in rotation.listing()]


@keys.command("rotate")
@click.option("--now", is_flag=True, help="An emergency: refuse everything that the present keys signed, at once.")
def rotate(now: bool) -> Json:
    """Make new signing keys: as planned (published now, signing one key-set lifetime later), or --now."""
    by = operator()
    pairs = material.generate(SLOTS if now else rotation.rotatable())
    with database.writing():
        master_keys.record(by=by)
        withdrawn = rotation.withdraw(rotation.in_use(), pairs, by=by) if now else ()
        made = () if now else rotation.plan(pairs, by=by)
    return {"withdrawn": list(withdrawn), "made": [pair.kid for pair in pairs] if now else list(made)}


@keys.command("retire")
@click.argument("kid")
def retire(kid: str) -> Json:
    """Let a signing key go; refused for the one that signs."""
    with database.writing():
        at = rotation.retire(kid, by=operator())
    return {"kid": kid, "retires_at": moment(at)}


@keys.command("reseal")
def reseal() -> Json:
    """Seal everything with the first key of IDP_SECRET_KEY, so that the others can leave it; resumable at any point."""
    by = operator()
    with database.writing():
        master_keys.record(by=by)
    done = master_keys.begin()
    with output.progress("Resealing") as tell:
        while not done.finished:
            with database.writing():
                done = master_keys.step(done)
            tell(done.moved, done.total)
    with database.writing():
        outcome = master_keys.finish(done, by=by)
    answer: Json = {
        "moved": done.moved,
        "removable": list(outcome.removable),
        "still_needed": dict(outcome.still_needed),
        "unreadable": list(done.unreadable),
    }
    if done.unreadable or outcome.still_needed:
        raise Failure(answer)
    return answer


def _view(key: Listed) -> Json:
    return {
        "kid": key.kid,
        "purpose": key.purpose,
        "alg": key.alg,
        "state": str(key.state),
        "published_at": moment(key.published_at),
        "activates_at": moment(key.activates_at),
        "retires_at": moment(key.retires_at),
        "withdrawn_at": moment(key.withdrawn_at),
    }
