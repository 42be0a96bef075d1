"""A business of 10,000 accounts and 100,000 people: applied from one file, and asked about as fast as a small one."""

import re
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import text

from idp.cli import main
from idp.organizations import effective
from idp.organizations.effective import Context, Holder, effective_roles, held_permissions
from idp.platform import database
from idp.platform.database import db
from tests.cli.conftest import settings
from tests.databases import Template

ACCOUNTS, PEOPLE, TEAMS = 10_000, 100_000, 100

DECLARED = {"apis", "api_permissions", "api_permission_holders"}
"""What the operator declares: it is as long for a large business as for a small one."""

SMALL_TABLE = 10
"""Pages that PostgreSQL rightly reads one after the other, whatever indexes there are."""


def write(file: Path) -> None:
    """The file: one large business, and a small one beside it.

    Everybody is a developer on one account; a fifth are in teams, which are analysts in groups of accounts.
    """
    lines = ["version: 1", "organizations:"]
    for slug, people, accounts, teams in (("large", PEOPLE, ACCOUNTS, TEAMS), ("small", 10, 10, 1)):
        lines += [f"- slug: {slug}", f"  name: {slug}", f"  owner: {slug}-0", "  accounts:"]
        lines += [f"  - {{key: a{n}, name: A{n}, country: DE, livemode: true}}" for n in range(accounts)]
        lines.append("  account_groups:")
        for n in range(teams):
            held = ", ".join(f"a{one}" for one in range(n, accounts, teams))
            lines.append(f"  - {{key: g{n}, name: G{n}, accounts: [{held}]}}")
        lines.append("  teams:")
        for n in range(teams):
            members = ", ".join(f"{slug}-{one}" for one in range(n, people, teams * 5 if teams > 1 else 1))
            lines.append(f"  - {{key: t{n}, name: T{n}, members: [{members}], group_roles: {{g{n}: [analyst]}}}}")
    lines.append("users:")
    for slug, people, accounts in (("large", PEOPLE, ACCOUNTS), ("small", 10, 10)):
        lines += [
            f"- {{username: {slug}-{n}, memberships: [{{organization: {slug}, "
            f"account_roles: {{a{n % accounts}: [developer]}}}}]}}"
            for n in range(people)
        ]
    file.write_text("\n".join(lines))


@pytest.fixture
def database_url(template: Template, tmp_path: Path) -> Iterator[str]:
    """A database of its own: nobody else has use for one that so much was in, and plans depend on what was."""
    with template.copy(tmp_path) as url:
        yield url


@pytest.fixture
def business(app: Flask, database_url: str, tmp_path: Path) -> str:
    """Both businesses, applied by the command line; what it said on the way."""
    write(tmp_path / "large.yaml")
    idp = CliRunner(env=settings(database_url))
    assert idp.invoke(main, ["db", "upgrade"]).exit_code == 0
    said = idp.invoke(main, ["apply", str(tmp_path / "large.yaml")], catch_exceptions=False)
    assert said.exit_code == 0, said.output
    with db.engine.connect().execution_options(
        isolation_level="AUTOCOMMIT", postgresql_readonly=False, canopy_writing=True
    ) as connection:  # what autovacuum does a minute later
        connection.exec_driver_sql("ANALYZE" if database.is_sqlite() else "VACUUM ANALYZE")
    return said.stderr


def test_a_large_business_is_applied_with_progress_and_answers_like_a_small_one(business: str) -> None:
    assert re.search(r"Applying large\.yaml: [\d,]+ of [\d,]+", business), business
    assert_everybody_holds_what_the_file_says()
    assert ratio() < 1.2
    for statement, more in (
        (effective._ROLES, {}),
        (effective._PERMISSIONS, {}),
        (effective._PERMISSIONS_AT, {"audience": "http://localhost:8000"}),
    ):
        holder, context = question("large")
        values = statement.parameters({**effective._values(holder, context, effective.now()), **more})
        if database.is_sqlite():
            assert_covered_on_sqlite(statement.sql(), values)
        else:
            assert_covered_on_postgresql(statement.sql(), values)


def question(slug: str) -> tuple[Holder, Context]:
    """The fourth person of a business, in the account where they are developer and, by their team, analyst."""
    session = database.session()
    user = session.execute(text("SELECT id FROM users WHERE username_key = :name"), {"name": f"{slug}-3"}).scalar_one()
    organization, account = session.execute(
        text(
            "SELECT o.id, p.account_id FROM organizations o JOIN account_placements p ON p.organization_id = o.id"
            " WHERE o.slug = :slug AND p.key = 'a3'"
        ),
        {"slug": slug},
    ).one()
    return Holder(user_id=user), Context(organization, account)


def assert_everybody_holds_what_the_file_says() -> None:
    session = database.session()
    counted = {
        table: session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
        for table in ("accounts", "memberships", "team_members", "account_group_accounts", "role_grants")
    }
    assert counted == {
        "accounts": ACCOUNTS + 10,
        "memberships": PEOPLE + 10,
        "team_members": PEOPLE // 5 + 10,
        "account_group_accounts": ACCOUNTS + 10,
        "role_grants": PEOPLE + 10 + TEAMS + 1,
    }
    for slug in ("large", "small"):
        holder, context = question(slug)
        assert effective_roles(holder, context).roles == {"developer", "analyst"}
        assert effective_roles(holder, Context(context.organization_id)).roles == set()
        assert "payments.read" in {one.name for one in held_permissions(holder, context)}


def ratio() -> float:
    """How much longer the large business takes, in alternation; the best of a few tries on a machine that is shared."""
    questions = {slug: question(slug) for slug in ("large", "small")}
    tries = []
    for _ in range(5):
        spent: dict[str, list[float]] = {"large": [], "small": []}
        for _ in range(200):
            for slug, asked in questions.items():
                began = time.perf_counter()
                effective_roles(*asked)
                spent[slug].append(time.perf_counter() - began)
        tries.append(statistics.median(spent["large"]) / statistics.median(spent["small"]))
    return min(tries)


def assert_covered_on_sqlite(sql: str, values: Any) -> None:
    """Every table is searched by an index that has all that is asked for (or is one itself); none is read whole."""
    cursor = database.session().connection().connection.cursor()
    cursor.execute(f"EXPLAIN QUERY PLAN {sql}", values)
    plan = [row[3] for row in cursor.fetchall()]
    reads = [re.fullmatch(r"(SEARCH|SCAN) (\w+)( EXISTS)?(.*)", line) for line in plan]
    tables = {one[2]: one for one in reads if one and one[2] in database.Model.metadata.tables.keys() - DECLARED}
    assert {"memberships", "membership_statuses", "team_members", "role_grants", "account_placements"} <= set(tables)
    for name, one in tables.items():
        is_index = not database.Model.metadata.tables[name].dialect_options["sqlite"]["with_rowid"]
        assert one[1] == "SEARCH", (one[0], plan)
        assert "USING COVERING INDEX" in one[4] or (is_index and "USING PRIMARY KEY" in one[4]), (one[0], plan)


def assert_covered_on_postgresql(sql: str, values: Any) -> None:
    """Whatever has more than a few pages is read by an index alone; and what has a few could be."""
    cursor = psycopg.RawCursor(cast(Any, database.session().connection().connection.driver_connection))
    cursor.execute("SELECT relname, relpages FROM pg_class WHERE relkind = 'r'")
    pages = dict(cursor.fetchall())
    for sequential, small in (("on", SMALL_TABLE), ("off", -1)):
        cursor.execute(f"SET LOCAL enable_seqscan = {sequential}")
        cursor.execute(f"EXPLAIN {sql}", values)
        plan = "\n".join(row[0] for row in cursor.fetchall())
        reads = re.findall(r"((?:\w+ )+Scan)(?: Backward)?(?: using \w+)? on (\w+)", plan)
        read = {table for kind, table in reads if table in pages}
        assert {"memberships", "membership_statuses", "team_members", "role_grants", "account_placements"} <= read, plan
        assert {kind for kind, table in reads if pages.get(table, -1) > small} == {"Index Only Scan"}, plan
