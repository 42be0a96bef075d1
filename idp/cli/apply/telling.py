"""What a plan or an applied file says: lines for people, cut where nobody reads on, and everything for programs."""

from collections.abc import Iterable, Iterator, Sequence

from idp.cli.apply import reach
from idp.cli.apply.plan import Plan
from idp.cli.apply.reach import Effect, RoleEffect
from idp.cli.apply.steps import Step
from idp.cli.output import Json, Worded

MOST = 200
"""Lines of a kind that people are shown; programs get all."""


def planned(plan: Plan, file: str) -> Worded:
    """The plan of `--plan`."""
    effects, of_roles = reach.of(plan)
    value: Json = {
        "file": file,
        "applied": False,
        "changes": len(plan.steps),
        "counts": plan.counts(),
        "steps": [_step(step) for step in plan.steps],
        "effects": [_effect(one) for one in effects],
        "role_effects": [_role_effect(one) for one in of_roles],
        "notes": _notes(plan),
    }
    return Worded(value, "\n".join(_plan_lines(plan, file, effects, of_roles)))


def applied(plan: Plan, file: str) -> Worded:
    """What became of the file."""
    value: Json = {
        "file": file,
        "applied": True,
        "changes": len(plan.steps),
        "counts": plan.counts(),
        "notes": _notes(plan),
    }
    said = [f"{file}: {_count(len(plan.steps), 'change')} made." if plan.steps else f"{file}: nothing to do."]
    said += [f"  {number:>9,}  {act}" for act, number in plan.counts().items()]
    return Worded(value, "\n".join([*said, *_note_lines(plan, file)]))


def _plan_lines(plan: Plan, file: str, effects: Sequence[Effect], of_roles: Sequence[RoleEffect]) -> Iterator[str]:
    if not plan.steps:
        yield f"{file}: nothing to do."
    else:
        yield f"{file} would make {_count(len(plan.steps), 'change')}:"
        yield from _cut((f"  {step.words()}" for step in plan.steps), len(plan.steps), "changes")
    if effects:
        yield "\nWho gains or loses which role where:"
        yield from _cut((f"  {_effect_words(one)}" for one in effects), len(effects), "gains and losses")
    elif plan.steps:
        yield "\nNobody gains or loses a role."
    if of_roles:
        yield "\nWhat roles come to allow:"
        yield from _cut((f"  {_role_words(one)}" for one in of_roles), len(of_roles), "roles")
    yield from _note_lines(plan, file)
    if plan.steps:
        yield "\nNothing has been changed."


def _note_lines(plan: Plan, file: str) -> Iterator[str]:
    if plan.notes:
        yield "\nNotes:"
        notes = (f"  {file}:{note.line}: {note.field}: {note.said}" for note in plan.notes)
        yield from _cut(notes, len(plan.notes), "notes")


def _cut(lines: Iterable[str], total: int, what: str) -> Iterator[str]:
    for number, line in enumerate(lines):
        if number == MOST:
            yield f"  … and {total - MOST:,} more {what}; --json lists all"
            return
        yield line


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _effect_words(one: Effect) -> str:
    where = ", ".join(one.where[:10])
    more = f" and {_count(len(one.where) - 10, 'more account')}" if len(one.where) > 10 else ""
    return f"{one.who} {one.does} {one.role} at {where}{more}"


def _role_words(one: RoleEffect) -> str:
    permissions = ", ".join([*(f"+{name}" for name in one.gained), *(f"-{name}" for name in one.lost)])
    holders = ", ".join(one.holders[:20]) or "nobody"
    more = f" and {len(one.holders) - 20:,} more" if len(one.holders) > 20 else ""
    return f"{one.role}: {permissions}; held by {holders}{more}"


def _step(step: Step) -> Json:
    return {
        "act": step.ACT,
        "object": step.subject.name,
        "id": step.subject.id or None,
        "says": step.words(),
        "line": step.place.line,
        "field": step.place.path,
    }


def _effect(one: Effect) -> Json:
    return {"who": one.who, "does": one.does, "role": one.role, "where": list(one.where)}


def _role_effect(one: RoleEffect) -> Json:
    return {"role": one.role, "gained": list(one.gained), "lost": list(one.lost), "holders": list(one.holders)}


def _notes(plan: Plan) -> Json:
    return [{"line": note.line, "field": note.field, "said": note.said} for note in plan.notes]
