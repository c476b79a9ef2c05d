"""Orders that are there already: one that has ended, copied with everything of it, as often as is asked for."""

from typing import Any, Final

import psycopg
from psycopg import sql
from sqlalchemy import make_url

# Numbers of rows grow by this much with each copy: more than there are before any copy is made.
_APART: Final = 1_000_000
# Unique words that do not have the order's number in them.
_OWN_WORDS: Final = frozenset({"external_id", "voucher_no", "invoice_no", "message_id", "movement_key"})
_COLUMNS: Final = """
SELECT c.table_name, array_agg(c.column_name::text), array_agg(c.column_name::text) FILTER (
    WHERE c.data_type IN ('integer', 'bigint') AND c.column_name LIKE '%\\_id')
FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND c.is_generated = 'NEVER' GROUP BY c.table_name
"""


async def seed(database_url: str, order_no: str, copies: int) -> None:
    """Afterwards the order has so many copies, which nobody works on."""
    address = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    async with await psycopg.AsyncConnection.connect(address) as connection:
        # What guards rows against us, and the balance of copied entries, were checked when the original was written.
        await connection.execute("SET session_replication_role = replica")
        tables = await (await connection.execute(_COLUMNS)).fetchall()
        for table, columns, numbers in tables:
            if "order_no" in columns:
                await connection.execute(_copy(table, columns, numbers or []), {"old": order_no, "copies": copies})
        lines = next((columns, numbers) for table, columns, numbers in tables if table == "journal_lines")
        entries = sql.SQL("t.entry_id IN (SELECT entry_id FROM journal_entries WHERE order_no = %(old)s)")
        await connection.execute(
            _copy("journal_lines", lines[0], lines[1] or [], entries), {"old": order_no, "copies": copies}
        )
        await connection.commit()
        await connection.set_autocommit(True)
        await connection.execute("VACUUM ANALYZE")


def _copy(table: str, columns: list[str], numbers: list[str], which: sql.Composable | None = None) -> sql.Composed:
    changes: list[sql.Composable] = [
        sql.SQL("jsonb_build_object({}, {} + g::bigint * {})").format(column, _of_row(column), sql.Literal(_APART))
        for column in numbers
    ]
    changes += [
        sql.SQL("jsonb_build_object({}, {} || '-' || g)").format(column, _of_row(column))
        for column in sorted(_OWN_WORDS & set(columns))
    ]
    changed: Any = sql.SQL(" || ").join(
        [sql.SQL("replace(to_jsonb(t)::text, %(old)s, %(old)s || 'C' || g)::jsonb"), *changes]
    )
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    values = sql.SQL(", ").join(sql.SQL("(made).{}").format(sql.Identifier(column)) for column in columns)
    return sql.SQL(
        "INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE SELECT {values} FROM ("
        "SELECT jsonb_populate_record(NULL::{table}, {changed}) AS made "
        "FROM {table} t CROSS JOIN generate_series(1, %(copies)s) g WHERE {which} OFFSET 0) copied"
    ).format(
        table=sql.Identifier(table),
        names=names,
        values=values,
        changed=changed,
        which=which or sql.SQL("t.order_no = %(old)s"),
    )


def _of_row(column: str) -> sql.Composed:
    return sql.SQL("t.{}").format(sql.Identifier(column))
