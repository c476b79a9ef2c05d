"""granted refunds: what is given back of a sale, and what of each line is gone by it"""

import sqlalchemy as sa
import sqlmodel
from alembic import op


revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None

APPEND_ONLY = ("granted_refunds", "granted_refund_lines")
LINE_AMOUNTS = ("refunded_gross_minor", "refunded_tax_minor", "refunded_platform_minor", "refunded_shipping_minor")
WITHIN_PRICE = (
    "refunded_tax_minor >= 0 AND refunded_tax_minor <= tax_minor AND refunded_platform_minor >= 0 "
    "AND refunded_platform_minor <= platform_discount_minor AND refunded_shipping_minor >= 0 "
    "AND refunded_shipping_minor <= shipping_minor AND refunded_gross_minor >= 0 "
    "AND refunded_gross_minor <= gross_minor"
)


def upgrade() -> None:
    op.create_table('granted_refund_lines',
    sa.Column('order_no', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('grant_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('line_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('unshipped', sa.Integer(), nullable=False),
    sa.Column('delivered', sa.Integer(), nullable=False),
    sa.Column('gross_minor', sa.BigInteger(), nullable=False),
    sa.Column('tax_minor', sa.BigInteger(), nullable=False),
    sa.Column('platform_minor', sa.BigInteger(), nullable=False),
    sa.Column('shipping_minor', sa.BigInteger(), nullable=False),
    sa.CheckConstraint('unshipped >= 0 AND delivered >= 0', name='granted_units_not_negative'),
    sa.PrimaryKeyConstraint('order_no', 'grant_id', 'line_id')
    )
    op.create_table('granted_refunds',
    sa.Column('order_no', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('grant_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reason_code', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('refusal', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('return_no', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('currency', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reduction_minor', sa.BigInteger(), nullable=False),
    sa.Column('platform_minor', sa.BigInteger(), nullable=False),
    sa.Column('tax_minor', sa.BigInteger(), nullable=False),
    sa.Column('payout_minor', sa.BigInteger(), nullable=False),
    sa.Column('absorbed_minor', sa.BigInteger(), nullable=False),
    sa.Column('compensation_minor', sa.BigInteger(), nullable=False),
    sa.Column('granted_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('granted_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('compensation_minor IN (0, payout_minor)', name='grant_compensation_is_paid_out'),
    sa.CheckConstraint('payout_minor >= 0 AND absorbed_minor >= 0', name='grant_parts_not_negative'),
    sa.ForeignKeyConstraint(['order_no'], ['orders.order_no'], ),
    sa.PrimaryKeyConstraint('order_no', 'grant_id')
    )
    op.create_index(op.f('ix_granted_refunds_return_no'), 'granted_refunds', ['return_no'], unique=False)
    # Filled with zeroes first, so that the running release goes on while orders get their new columns.
    op.add_column('order_lines', sa.Column('refunded', sa.Integer(), nullable=False, server_default='0'))
    for name in LINE_AMOUNTS:
        op.add_column('order_lines', sa.Column(name, sa.BigInteger(), nullable=False, server_default='0'))
    op.add_column('orders', sa.Column('reduced_minor', sa.BigInteger(), nullable=False, server_default='0'))
    for table, names in (('order_lines', ('refunded', *LINE_AMOUNTS)), ('orders', ('reduced_minor',))):
        for name in names:
            op.alter_column(table, name, server_default=None)
    op.create_check_constraint('line_refunded', 'order_lines', 'refunded >= 0 AND refunded <= delivered')
    op.create_check_constraint('line_refunded_within_price', 'order_lines', WITHIN_PRICE)
    op.create_check_constraint(
        'order_reduced_within_total', 'orders', 'reduced_minor >= 0 AND reduced_minor <= total_minor'
    )
    for table in APPEND_ONLY:
        op.execute(f"""
            CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
            FOR EACH ROW EXECUTE FUNCTION refuse_change()
        """)
        op.execute(f"""
            CREATE TRIGGER {table}_never_emptied BEFORE TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
        """)


def downgrade() -> None:
    op.drop_constraint('order_reduced_within_total', 'orders')
    op.drop_constraint('line_refunded_within_price', 'order_lines')
    op.drop_constraint('line_refunded', 'order_lines')
    op.drop_column('orders', 'reduced_minor')
    for name in (*LINE_AMOUNTS, 'refunded'):
        op.drop_column('order_lines', name)
    op.drop_index(op.f('ix_granted_refunds_return_no'), table_name='granted_refunds')
    op.drop_table('granted_refunds')
    op.drop_table('granted_refund_lines')
