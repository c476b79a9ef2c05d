"""exchanges: what goes out instead of goods that came back, and the money that pays for it"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None

TEXT = sqlmodel.sql.sqltypes.AutoString


def upgrade() -> None:
    op.create_table('exchange_lines',
    sa.Column('return_no', TEXT(), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('line_id', TEXT(), nullable=False),
    sa.Column('sku', TEXT(), nullable=False),
    sa.Column('quantity', sa.Integer(), nullable=False),
    sa.Column('unit_price_minor', sa.BigInteger(), nullable=True),
    sa.Column('tax_rate', sa.Numeric(precision=18, scale=10), nullable=True),
    sa.Column('category', TEXT(), nullable=True),
    sa.CheckConstraint('quantity > 0', name='exchange_line_quantity_positive'),
    sa.ForeignKeyConstraint(['return_no'], ['returns.return_no'], ),
    sa.PrimaryKeyConstraint('return_no', 'position')
    )
    op.add_column('refunds', sa.Column('credited_to', TEXT(), nullable=True))
    op.add_column('returns', sa.Column('ship_to', postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column('returns', sa.Column('replacement_no', TEXT(), nullable=True))
    op.create_unique_constraint('returns_replacement_no_key', 'returns', ['replacement_no'])
    op.create_foreign_key('returns_replacement_no_fkey', 'returns', 'orders', ['replacement_no'], ['order_no'])


def downgrade() -> None:
    op.drop_constraint('returns_replacement_no_fkey', 'returns', type_='foreignkey')
    op.drop_constraint('returns_replacement_no_key', 'returns', type_='unique')
    op.drop_column('returns', 'replacement_no')
    op.drop_column('returns', 'ship_to')
    op.drop_column('refunds', 'credited_to')
    op.drop_table('exchange_lines')
