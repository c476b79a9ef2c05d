"""the chain of events and its anchors"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# What was told before there was a chain is chained as it stands; nobody knows any more how the orders stood then.
_CHAIN_WHAT_IS_THERE = """
DO $$
DECLARE
    told record; previous bytea; own bytea;
BEGIN
    FOR told IN SELECT e.*, o.flow_key AS flow, o.flow_version AS version, o.source AS door
                FROM order_events e JOIN orders o ON o.order_no = e.order_no ORDER BY e.order_no, e.seq LOOP
        IF told.seq = 1 THEN
            previous := sha256(convert_to('orderflow/' || told.order_no, 'UTF8'));
        END IF;
        told.reason_salt := CASE WHEN told.reason IS NOT NULL THEN uuid_send(gen_random_uuid()) END;
        told.reason_seal := sha256(told.reason_salt || convert_to(told.reason, 'UTF8'));
        own := sha256(convert_to(CAST(jsonb_build_object(
            'order_no', told.order_no, 'seq', told.seq, 'kind', told.kind, 'actor', told.actor, 'on_behalf_of', NULL,
            'source', told.source, 'intake', told.door, 'message_id', told.message_id, 'node', told.node,
            'flow_key', told.flow, 'flow_version', told.version, 'before', '{}'::jsonb, 'after', '{}'::jsonb,
            'data', told.data, 'reason_seal', encode(told.reason_seal, 'hex'),
            'at', to_char(told.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '+00:00',
            'prev_hash', encode(previous, 'hex')) AS text), 'UTF8'));
        UPDATE order_events SET intake = told.door, flow_key = told.flow, flow_version = told.version,
            before = '{}', after = '{}', reason_salt = told.reason_salt, reason_seal = told.reason_seal,
            prev_hash = previous, hash = own
        WHERE event_id = told.event_id;
        previous := own;
    END LOOP;
END $$
"""
_FILLED = ("intake", "flow_key", "flow_version", "before", "after", "prev_hash", "hash")


def upgrade() -> None:
    text, document, octets = sqlmodel.sql.sqltypes.AutoString, postgresql.JSONB, sa.LargeBinary
    op.add_column("order_events", sa.Column("on_behalf_of", text(), nullable=True))
    op.add_column("order_events", sa.Column("intake", text(), nullable=True))
    op.add_column("order_events", sa.Column("flow_key", text(), nullable=True))
    op.add_column("order_events", sa.Column("flow_version", sa.Integer(), nullable=True))
    op.add_column("order_events", sa.Column("before", document(), nullable=True))
    op.add_column("order_events", sa.Column("after", document(), nullable=True))
    op.add_column("order_events", sa.Column("reason_salt", octets(), nullable=True))
    op.add_column("order_events", sa.Column("reason_seal", octets(), nullable=True))
    op.add_column("order_events", sa.Column("prev_hash", octets(), nullable=True))
    op.add_column("order_events", sa.Column("hash", octets(), nullable=True))
    op.execute("ALTER TABLE order_events DISABLE TRIGGER order_events_append_only")
    op.execute(_CHAIN_WHAT_IS_THERE)
    op.execute("ALTER TABLE order_events ENABLE TRIGGER order_events_append_only")
    for column in _FILLED:
        op.alter_column("order_events", column, nullable=False)
    op.create_table(
        "audit_anchors",
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("digest", text(), nullable=False),
        sa.Column("heads", sa.Integer(), nullable=False),
        sa.Column("settled_event_id", sa.BigInteger(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.execute("""
        CREATE TRIGGER audit_anchors_append_only BEFORE UPDATE OR DELETE ON audit_anchors
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """)
    op.execute("""
        CREATE TRIGGER audit_anchors_never_emptied BEFORE TRUNCATE ON audit_anchors
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """)


def downgrade() -> None:
    op.drop_table("audit_anchors")
    for column in (*_FILLED, "on_behalf_of", "reason_salt", "reason_seal"):
        op.drop_column("order_events", column)
