"""delivered messages are found by their age"""

import sqlalchemy as sa
from alembic import op

revision = '0018'
down_revision = '0017'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index('outbox_delivered', 'outbox_messages', ['delivered_at'],
                    postgresql_where=sa.text("state = 'delivered' AND event_type NOT LIKE 'alert.%'"))


def downgrade() -> None:
    op.drop_index('outbox_delivered', table_name='outbox_messages')
