"""changes of orders: what had effect, before and after"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('order_changes',
    sa.Column('order_no', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('change_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('before', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('after', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('address_changed', sa.Boolean(), nullable=False),
    sa.Column('relevant', sa.Boolean(), nullable=False),
    sa.Column('currency', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('delta_minor', sa.BigInteger(), nullable=False),
    sa.Column('refund_minor', sa.BigInteger(), nullable=False),
    sa.Column('balance_minor', sa.BigInteger(), nullable=False),
    sa.Column('changed_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('changed_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('refund_minor = 0 OR balance_minor = 0', name='change_refunds_or_asks'),
    sa.CheckConstraint('refund_minor >= 0 AND balance_minor >= 0', name='change_money_not_negative'),
    sa.ForeignKeyConstraint(['order_no'], ['orders.order_no'], ),
    sa.PrimaryKeyConstraint('order_no', 'change_id')
    )
    op.execute("""
        CREATE TRIGGER order_changes_append_only BEFORE UPDATE OR DELETE ON order_changes
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """)
    op.execute("""
        CREATE TRIGGER order_changes_never_emptied BEFORE TRUNCATE ON order_changes
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """)


def downgrade() -> None:
    op.drop_table('order_changes')
