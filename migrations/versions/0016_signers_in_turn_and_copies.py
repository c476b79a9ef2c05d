"""signers in turn and copies"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0016'
down_revision = '0015'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('approval_copies',
    sa.Column('approval_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('person_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('role', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('added_by', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('since', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['approval_id'], ['approvals.approval_id'], ),
    sa.PrimaryKeyConstraint('approval_id', 'person_id')
    )
    op.create_index('approval_copies_of_person', 'approval_copies', ['person_id', 'approval_id'], unique=False)
    op.add_column('approval_assignments', sa.Column('seat', sa.Integer(), nullable=True))
    op.add_column('approval_assignments', sa.Column('place', sa.Integer(), nullable=False, server_default='0'))
    op.add_column('approval_assignments', sa.Column('added_by', sqlmodel.sql.sqltypes.AutoString(), nullable=True))
    op.add_column('approvals', sa.Column('clock', sa.Integer(), nullable=False, server_default='0'))
    # Everybody who was asked until now has a word of their own.
    op.execute("""
        UPDATE approval_assignments a SET seat = r.seat FROM (
            SELECT approval_id, level, person_id,
                   row_number() OVER (PARTITION BY approval_id, level ORDER BY person_id) - 1 AS seat
            FROM approval_assignments) r
        WHERE (a.approval_id, a.level, a.person_id) = (r.approval_id, r.level, r.person_id)
    """)
    op.alter_column('approval_assignments', 'seat', nullable=False)
    op.alter_column('approval_assignments', 'place', server_default=None)
    op.alter_column('approvals', 'clock', server_default=None)


def downgrade() -> None:
    op.drop_column('approvals', 'clock')
    op.drop_column('approval_assignments', 'added_by')
    op.drop_column('approval_assignments', 'place')
    op.drop_column('approval_assignments', 'seat')
    op.drop_index('approval_copies_of_person', table_name='approval_copies')
    op.drop_table('approval_copies')
