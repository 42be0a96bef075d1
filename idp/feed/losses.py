"""Losses: what a transaction takes away, written to the change feed as its very last act."""

_KINDS = frozenset(
    "grant membership session consent token role account organization client api operator key epoch".split()
)


def record(kind: str, **match: str) -> None:
    """Say that tokens which agree with `match` in every key and are older than this transaction are superseded.

    `match` is a partial token: keys from `sub, org_id, account_id, role, client_id, sid, jti, aud, act, kid`.
    Call it inside `database.writing()`; leaving that writes what was collected and commits.
    """
