"""what the database refuses: unbalanced entries, and any change of what is append-only"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

APPEND_ONLY = ("journal_entries", "journal_lines", "order_events", "stock_movements", "carrier_scans")


def upgrade() -> None:
    op.execute("""
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
        END $$
    """)
    for table in APPEND_ONLY:
        op.execute(f"""
            CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
            FOR EACH ROW EXECUTE FUNCTION refuse_change()
        """)
        op.execute(f"""
            CREATE TRIGGER {table}_never_emptied BEFORE TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
        """)
    # Checked when the transaction commits, so that the lines of an entry may come one by one.
    op.execute("""
        CREATE FUNCTION check_entry_balance() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            lines integer; document bigint; base bigint;
        BEGIN
            SELECT count(*),
                   coalesce(sum(CASE side WHEN 'Dr' THEN amount_minor ELSE -amount_minor END), 0),
                   coalesce(sum(CASE side WHEN 'Dr' THEN base_minor ELSE -base_minor END), 0)
            INTO lines, document, base
            FROM journal_lines WHERE entry_id = NEW.entry_id;
            IF lines < 2 OR document <> 0 OR base <> 0 THEN
                RAISE EXCEPTION 'journal entry % does not balance: % lines, document %, functional %',
                    NEW.entry_id, lines, document, base USING ERRCODE = 'check_violation';
            END IF;
            RETURN NULL;
        END $$
    """)
    for table in ("journal_entries", "journal_lines"):
        op.execute(f"""
            CREATE CONSTRAINT TRIGGER {table}_balance AFTER INSERT ON {table}
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_entry_balance()
        """)
    op.execute("""
        CREATE FUNCTION refuse_later_line() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NOT EXISTS (SELECT 1 FROM journal_entries
                           WHERE entry_id = NEW.entry_id AND xmin::text = pg_current_xact_id()::xid::text) THEN
                RAISE EXCEPTION 'journal entry % is closed', NEW.entry_id USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER journal_lines_with_entry BEFORE INSERT ON journal_lines
        FOR EACH ROW EXECUTE FUNCTION refuse_later_line()
    """)


def downgrade() -> None:
    op.execute("DROP TRIGGER journal_lines_with_entry ON journal_lines")
    op.execute("DROP FUNCTION refuse_later_line()")
    for table in ("journal_entries", "journal_lines"):
        op.execute(f"DROP TRIGGER {table}_balance ON {table}")
    op.execute("DROP FUNCTION check_entry_balance()")
    for table in APPEND_ONLY:
        op.execute(f"DROP TRIGGER {table}_append_only ON {table}")
        op.execute(f"DROP TRIGGER {table}_never_emptied ON {table}")
    op.execute("DROP FUNCTION refuse_change()")
