"""Migrations make exactly the tables that the models describe, to the last constraint, and take them away again."""

from flask import Flask
from sqlalchemy import Connection, NullPool, create_engine, inspect

from idp.platform import schema
from idp.platform.database import Model


def _described(connection: Connection) -> dict[str, set[str]]:
    """Every table with its columns, keys, constraints and indexes, each as one text."""
    seen = inspect(connection)
    found = {}
    for table in seen.get_table_names():
        parts = [
            seen.get_columns(table),
            [seen.get_pk_constraint(table)],
            seen.get_foreign_keys(table),
            seen.get_unique_constraints(table),
            seen.get_check_constraints(table),
            seen.get_indexes(table),
        ]
        found[table] = {_text(part) for group in parts for part in group}
    return found


def _text(part: object) -> str:
    if isinstance(part, dict):
        return "{" + ", ".join(f"{key}: {_text(value)}" for key, value in sorted(part.items())) + "}"
    return f"[{', '.join(map(_text, part))}]" if isinstance(part, list | tuple) else " ".join(str(part).split())


def test_migrations_and_models_make_the_same_tables(database_url: str) -> None:
    with create_engine(database_url, poolclass=NullPool).begin() as connection:
        migrated = _described(connection)
        Model.metadata.drop_all(connection)
        Model.metadata.create_all(connection)
        modelled = _described(connection)
    for table in Model.metadata.tables:
        assert migrated.get(table) == modelled[table], table


def test_taking_every_migration_back_leaves_nothing(app: Flask, database_url: str) -> None:
    schema.downgrade("base")
    with create_engine(database_url, poolclass=NullPool).begin() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]
