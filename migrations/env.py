"""Alembic's entry: it works on the connection it is handed and opens none, so it also runs inside an event loop."""

from alembic import context
from sqlmodel import SQLModel

import models  # noqa: F401 - fills the metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=SQLModel.metadata, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
