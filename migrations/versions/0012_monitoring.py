"""what monitoring counts without reading whole tables"""

import sqlalchemy as sa
from alembic import op

revision = '0012'
down_revision = '0011'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index('order_lines_unrecognised', 'order_lines', ['order_no'],
                    postgresql_where=sa.text('delivered > recognised AND returned = 0'))
    op.create_index('outbox_refused', 'outbox_messages', ['destination', 'outbox_id'],
                    postgresql_where=sa.text("state = 'refused'"))
    op.create_index('shipments_travelling', 'shipments', ['handed_over_at'],
                    postgresql_where=sa.text("status IN ('handed_over', 'in_transit')"))


def downgrade() -> None:
    op.drop_index('shipments_travelling', table_name='shipments')
    op.drop_index('outbox_refused', table_name='outbox_messages')
    op.drop_index('order_lines_unrecognised', table_name='order_lines')
