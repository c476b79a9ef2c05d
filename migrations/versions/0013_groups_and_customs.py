"""groups that buy together and customs"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0013'
down_revision = '0012'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('buying_groups',
    sa.Column('group_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('minimum_orders', sa.Integer(), nullable=False),
    sa.Column('closes_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('completed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('minimum_orders > 0', name='group_minimum_positive'),
    sa.PrimaryKeyConstraint('group_id')
    )
    op.create_table('customs_documents',
    sa.Column('order_no', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('document', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('reported_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reported_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['order_no'], ['orders.order_no'], ),
    sa.PrimaryKeyConstraint('order_no', 'document')
    )
    op.add_column('orders', sa.Column('group_joined_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('orders', sa.Column('came', postgresql.ARRAY(sa.Text()), nullable=False, server_default='{}'))
    op.create_index('orders_of_group', 'orders', ['group_id'], unique=False, postgresql_where=sa.text('group_id IS NOT NULL'))
    op.alter_column('orders', 'came', server_default=None)


def downgrade() -> None:
    op.drop_index('orders_of_group', table_name='orders', postgresql_where=sa.text('group_id IS NOT NULL'))
    op.drop_column('orders', 'came')
    op.drop_column('orders', 'group_joined_at')
    op.drop_table('customs_documents')
    op.drop_table('buying_groups')
