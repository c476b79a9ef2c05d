"""returns: goods that come back, and what a legal entity takes back without asking anybody"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql


revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None

TEXT = sqlmodel.sql.sqltypes.AutoString
POLICY = (('return_window_days', sa.Integer, '7'), ('return_approved_below_minor', sa.BigInteger, '50000'),
          ('return_goods_days', sa.Integer, '14'))


def upgrade() -> None:
    op.create_table('returns',
    sa.Column('return_no', TEXT(), nullable=False),
    sa.Column('order_no', TEXT(), nullable=False),
    sa.Column('return_id', TEXT(), nullable=False),
    sa.Column('kind', TEXT(), nullable=False),
    sa.Column('state', TEXT(), nullable=False),
    sa.Column('refusal', TEXT(), nullable=True),
    sa.Column('reason', TEXT(), nullable=True),
    sa.Column('currency', TEXT(), nullable=False),
    sa.Column('worth_minor', sa.BigInteger(), nullable=False),
    sa.Column('requested_by', TEXT(), nullable=False),
    sa.Column('requested_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('decided_by', TEXT(), nullable=True),
    sa.Column('decision_reason', TEXT(), nullable=True),
    sa.Column('decided_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('goods_due_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['order_no'], ['orders.order_no'], ),
    sa.PrimaryKeyConstraint('return_no'),
    sa.UniqueConstraint('order_no', 'return_id', name='return_of_order')
    )
    op.create_index('returns_newest', 'returns', ['requested_at', 'return_no'], unique=False)
    op.create_index('returns_open', 'returns', ['order_no'], unique=False, postgresql_where=sa.text('closed_at IS NULL'))
    op.create_table('return_lines',
    sa.Column('return_no', TEXT(), nullable=False),
    sa.Column('line_id', TEXT(), nullable=False),
    sa.Column('order_no', TEXT(), nullable=False),
    sa.Column('sku', TEXT(), nullable=False),
    sa.Column('quantity', sa.Integer(), nullable=False),
    sa.Column('reason_code', TEXT(), nullable=False),
    sa.Column('received', sa.Integer(), nullable=False),
    sa.Column('resellable', sa.Integer(), nullable=False),
    sa.Column('damaged', sa.Integer(), nullable=False),
    sa.CheckConstraint('quantity > 0', name='return_line_quantity_positive'),
    sa.CheckConstraint(
        'resellable >= 0 AND damaged >= 0 AND resellable + damaged <= received AND received <= quantity',
        name='return_line_received_within_announced'),
    sa.ForeignKeyConstraint(['return_no'], ['returns.return_no'], ),
    sa.PrimaryKeyConstraint('return_no', 'line_id')
    )
    op.create_index(op.f('ix_return_lines_order_no'), 'return_lines', ['order_no'], unique=False)
    op.create_table('return_receipts',
    sa.Column('return_no', TEXT(), nullable=False),
    sa.Column('receipt_id', TEXT(), nullable=False),
    sa.Column('warehouse', TEXT(), nullable=False),
    sa.Column('lines', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('received_by', TEXT(), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['return_no'], ['returns.return_no'], ),
    sa.PrimaryKeyConstraint('return_no', 'receipt_id')
    )
    op.execute("""
        CREATE TRIGGER return_receipts_append_only BEFORE UPDATE OR DELETE ON return_receipts
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """)
    op.execute("""
        CREATE TRIGGER return_receipts_never_emptied BEFORE TRUNCATE ON return_receipts
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """)
    # Entities that are there begin with the policy of a new one.
    for name, kind, default in POLICY:
        op.add_column('legal_entities', sa.Column(name, kind(), nullable=False, server_default=default))
        op.alter_column('legal_entities', name, server_default=None)
    op.create_check_constraint(
        'entity_return_policy', 'legal_entities',
        'return_window_days >= 0 AND return_approved_below_minor >= 0 AND return_goods_days > 0')


def downgrade() -> None:
    op.drop_constraint('entity_return_policy', 'legal_entities')
    for name, _kind, _default in reversed(POLICY):
        op.drop_column('legal_entities', name)
    op.drop_table('return_receipts')
    op.drop_index(op.f('ix_return_lines_order_no'), table_name='return_lines')
    op.drop_table('return_lines')
    op.drop_index('returns_open', table_name='returns', postgresql_where=sa.text('closed_at IS NULL'))
    op.drop_index('returns_newest', table_name='returns')
    op.drop_table('returns')
