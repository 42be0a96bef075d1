"""Verification: walks the chains and names the first entry that is not as it was sealed, and what is wrong with it.

What it finds: an entry changed, deleted, inserted or moved, a tail cut off, a side row altered. What it cannot find:
what happened to an entry before it was sealed (the last second), and a database set back as a whole to an earlier
state, chains, heads and all. For the latter keep heads elsewhere (`seal.head`) and hand one in as `expected`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import func, select

from idp.audit import links
from idp.audit.chain import INSTANCE, VERSIONS, ChainHead, Facts, Place, link
from idp.audit.links import Link, Step
from idp.audit.models import Head
from idp.audit.seal import ChainBroken, trusted
from idp.platform import database


class Fault(StrEnum):
    """What may be wrong."""

    CHANGED = "changed"
    DELETED = "deleted"
    INSERTED = "inserted"
    REORDERED = "reordered"
    CUT = "tail cut"
    SIDE_ROW = "side row altered"
    HEAD = "head forged"


@dataclass(frozen=True)
class Finding:
    """The first thing that is wrong: in which chain, at which number, with which entry (empty: it is gone)."""

    fault: Fault
    chain: str
    number: int
    entry_id: str
    what: str


@dataclass(frozen=True)
class Report:
    """What was found: `finding` is `None` when all is well; `head` then is where the (first) chain ends.

    `unsealed` entries await the sealer and prove nothing yet.
    """

    head: ChainHead | None
    unsealed: int
    finding: Finding | None


class Tampered(Exception):
    """Ends the walk with its finding."""

    def __init__(self, fault: Fault, chain: str, number: int, entry_id: str, what: str) -> None:
        super().__init__(what)
        self.finding = Finding(fault, chain, number, entry_id, what)


Progress = Callable[[int, int], None]
"""Told how many links were checked, of how many."""


def verify(*, organization: str = "", expected: ChainHead | None = None, progress: Progress | None = None) -> Report:
    """Check every chain, or that of one organization, in bounded memory, while others write.

    `expected`: a head that was kept elsewhere; the chain must still lead through it. Ends the reading transaction
    between pages.
    """
    database.not_while_writing("verifying the audit trail")
    walk = _Walk(progress or (lambda done, total: None))
    heads: list[ChainHead | None] = []
    try:
        for chain in _chains(organization, expected):
            heads.append(walk.along(chain, expected if expected and expected.chain == chain else None))
        if stray := links.stray(organization):
            raise Tampered(Fault.INSERTED, organization or INSTANCE, 0, stray, "is neither sealed nor waiting to be")
    except Tampered as tampered:
        return Report(None, links.unsealed(organization), tampered.finding)
    return Report(heads[0], links.unsealed(organization), None)


class _Walk:
    """Counts its steps for whoever waits."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._done = 0
        self._total = database.session().scalar(select(func.sum(Head.number))) or 0

    def along(self, chain: str, expected: ChainHead | None) -> ChainHead | None:
        """The head that the chain leads to, `None` if it has no link. Raises `Tampered`."""
        last = ChainHead(chain, 0, b"")
        while True:
            steps = links.steps_after(chain, last.number)
            for step in steps:
                last = _checked(step, last)
                if expected and last.number == expected.number and last.hash != expected.hash:
                    raise Tampered(Fault.HEAD, chain, last.number, step.link.entry_id, "is not what the kept head says")
            self._done += len(steps)
            self._progress(self._done, max(self._done, int(self._total)))
            if not steps and _ends_at(last):
                break
        if expected and expected.number > last.number:
            raise Tampered(Fault.CUT, chain, last.number + 1, "", "is gone: the chain ends before the kept head")
        return last if last.number else None


def _chains(organization: str, expected: ChainHead | None) -> Iterator[str]:
    """The chains to walk: one organization's, or the instance's and then each organization's; and the expected one."""
    kept = {expected.chain} if expected else set()
    chain: str | None = organization or INSTANCE
    while chain:
        yield chain
        kept.discard(chain)
        chain = None if organization else links.next_chain(chain)
    yield from kept


def _checked(step: Step, last: ChainHead) -> ChainHead:
    """The head after `step`. Raises `Tampered`."""
    chain, number, entry = last.chain, last.number + 1, step.link.entry_id
    if step.link.number != number:
        gone = f"is gone, with all up to number {step.link.number - 1}"
        raise Tampered(Fault.DELETED, chain, number, links.stray(), gone)
    if step.facts is None:
        raise Tampered(Fault.DELETED, chain, number, entry, "is gone")
    if not _was_sealed(step.facts, chain, number, {last.hash}, [step.link]):
        raise _diagnosis(step.link, step.facts, chain)
    if step.organization_id != step.facts.organization_id or step.is_numbered != bool(step.organization_id):
        raise Tampered(Fault.CHANGED, chain, number, entry, "was taken out of its organization's chain")
    if step.detail and step.detail.digest() != step.facts.detail_digest:
        raise Tampered(Fault.SIDE_ROW, chain, number, entry, "has another address, user agent or e-mail now")
    return ChainHead(chain, number, step.link.hash)


def _was_sealed(facts: Facts, chain: str, number: int, after: set[bytes], seals: list[Link]) -> bool:
    """Whether one of `seals` is that of `facts` under `number`, where the hash before it is one of `after`."""
    return any(
        link(facts, Place(chain, number, previous, seal.sealed_at, seal.version)) == seal.hash
        for seal in seals
        for previous in after
        if seal.version in VERSIONS
    )


def _diagnosis(here: Link, facts: Facts, chain: str) -> Tampered:
    """Why an entry does not belong where it stands: it was sealed under another number, or it is not as it was.

    Looks for its place in the whole chain. Seals may have changed places with their hashes or without.
    """
    previous = b""
    for there in links.links(chain):
        elsewhere = there.number != here.number
        if elsewhere and _was_sealed(facts, chain, there.number, {previous, there.hash}, [here, there]):
            if there.number > here.number:
                what = f"was sealed under number {there.number}"
                return Tampered(Fault.REORDERED, chain, here.number, here.entry_id, what)
            return Tampered(Fault.INSERTED, chain, there.number, there.entry_id, f"was put in before {here.entry_id}")
        previous = there.hash
    return Tampered(Fault.CHANGED, chain, here.number, here.entry_id, "is not as it was sealed")


def _ends_at(last: ChainHead) -> bool:
    """Whether the chain ends with `last`, as its head says; `False` when the sealer went on meanwhile.

    Seals and heads are written together, and the head is read after the seals: it is never behind them.
    """
    stored = database.session().get(Head, last.chain, populate_existing=True)
    if stored is None and last.number:
        raise Tampered(Fault.HEAD, last.chain, last.number, "", "has no head after it any more")
    if stored is None:
        return True
    if stored.number > last.number and links.newest(last.chain) > last.number:
        return False
    if stored.number > last.number:
        raise Tampered(Fault.CUT, last.chain, last.number + 1, "", f"is gone, with all up to number {stored.number}")
    _compare(stored, last)
    return True


def _compare(stored: Head, last: ChainHead) -> None:
    chain = last.chain
    try:
        head = trusted(stored)
    except ChainBroken as broken:
        what = f"{broken}: the last entries may have been cut off, added or sealed anew"
        raise Tampered(Fault.HEAD, chain, stored.number, "", what) from broken
    if head.number < last.number:
        raise Tampered(
            Fault.INSERTED, chain, head.number + 1, links.entry_at(chain, head.number + 1), "was added after the head"
        )
    if head.hash != last.hash:
        raise Tampered(Fault.HEAD, chain, head.number, "", "all entries may have been sealed anew")
