"""Runs migrations on the connection that `idp.platform.schema` hands over."""

from alembic import context

from idp.platform import schema
from idp.platform.database import Model

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Model.metadata,
    render_as_batch=True,
    **schema.comparison(connection),
)
context.run_migrations()
