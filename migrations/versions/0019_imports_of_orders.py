"""files of orders that people bring"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0019'
down_revision = '0018'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('order_imports',
    sa.Column('import_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('file_name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('file_hash', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('file', sa.LargeBinary(), nullable=True),
    sa.Column('reading', sa.LargeBinary(), nullable=True),
    sa.Column('choice', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('orders', sa.Integer(), nullable=False),
    sa.Column('unreadable', sa.Integer(), nullable=False),
    sa.Column('brought_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('brought_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('placed_by', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('leased_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("state IN ('read', 'placing', 'done')", name='order_import_state'),
    sa.PrimaryKeyConstraint('import_id')
    )
    op.create_index(op.f('ix_order_imports_file_hash'), 'order_imports', ['file_hash'], unique=False)
    op.create_table('imported_orders',
    sa.Column('import_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('called', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('order_no', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('fate', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('problems', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("fate IN ('placed', 'there', 'refused')", name='imported_order_fate'),
    sa.ForeignKeyConstraint(['import_id'], ['order_imports.import_id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('import_id', 'position')
    )


def downgrade() -> None:
    op.drop_table('imported_orders')
    op.drop_index(op.f('ix_order_imports_file_hash'), table_name='order_imports')
    op.drop_table('order_imports')
