"""terms of payment: deposits that are lost, credit and when it is due, fees that others keep"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None

# What rows that are there already get; the columns keep no default of their own.
NEW = (
    ('customers', 'payment_days', sa.Integer(), '30'),
    ('legal_entities', 'deposit_refundable', sa.Boolean(), 'false'),
    ('orders', 'deposit_refundable', sa.Boolean(), 'false'),
    ('orders', 'forfeit_deposit', sa.Boolean(), 'false'),
    ('orders', 'forfeited_minor', sa.BigInteger(), '0'),
    ('payments', 'fee_minor', sa.BigInteger(), '0'),
)
CHECKS = (
    ('customers', 'customer_payment_days_range', 'payment_days BETWEEN 0 AND 365'),
    ('orders', 'order_refunded_within_paid', 'refunded_minor + forfeited_minor <= paid_minor'),
    ('payments', 'payment_fee_within_amount', 'fee_minor >= 0 AND fee_minor <= amount_minor'),
)


def upgrade() -> None:
    for table, column, kind, value in NEW:
        op.add_column(table, sa.Column(column, kind, nullable=False, server_default=sa.text(value)))
        op.alter_column(table, column, server_default=None)
    op.add_column('orders', sa.Column('payment_days', sa.Integer(), nullable=True))
    op.add_column('orders', sa.Column('payment_due_on', sa.Date(), nullable=True))
    op.add_column('orders', sa.Column('credit_state', sqlmodel.sql.sqltypes.AutoString(), nullable=True))
    op.create_index(
        'orders_on_credit',
        'orders',
        ['customer_id'],
        unique=False,
        postgresql_where=sa.text("payment_terms = 'on_credit'"),
    )
    op.drop_constraint('order_refunded_within_paid', 'orders')
    for table, name, condition in CHECKS:
        op.create_check_constraint(name, table, condition)
    # Every entity has an account for every role, from the beginning of time.
    op.execute("""
        INSERT INTO account_mappings (entity_id, role, valid_from, account, name)
        SELECT entity_id, 'forfeited_deposit', DATE '1970-01-01', '6301', '营业外收入-没收定金' FROM legal_entities
        ON CONFLICT DO NOTHING
    """)


def downgrade() -> None:
    op.drop_constraint('order_refunded_within_paid', 'orders')
    op.drop_constraint('payment_fee_within_amount', 'payments')
    op.drop_constraint('customer_payment_days_range', 'customers')
    op.drop_index('orders_on_credit', table_name='orders')
    for column in ('credit_state', 'payment_due_on', 'payment_days'):
        op.drop_column('orders', column)
    for table, column, _kind, _value in reversed(NEW):
        op.drop_column(table, column)
    op.create_check_constraint('order_refunded_within_paid', 'orders', 'refunded_minor <= paid_minor')
