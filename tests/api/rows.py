"""How many rows every table has, so that a test can show that nothing was written."""

from sqlalchemy import text
from sqlmodel import SQLModel

import models
from tests.conftest import Database

__all__ = ["counts", "models"]


async def counts(database: Database) -> dict[str, int]:
    """Rows by table."""
    tables = sorted(SQLModel.metadata.tables)
    union = " UNION ALL ".join(f"SELECT '{table}' AS name, count(*) AS rows FROM {table}" for table in tables)
    async with database.sessions() as session:
        return {row.name: row.rows for row in await session.execute(text(union))}
