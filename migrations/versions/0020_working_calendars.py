"""working calendars are master data"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0020'
down_revision = '0019'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('calendars',
    sa.Column('calendar_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('title_zh', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('title_en', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('time_zone', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('week', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('holidays', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('updated_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("holidays IN ('none', 'cn')", name='calendar_holidays'),
    sa.CheckConstraint('jsonb_array_length(week) = 7', name='calendar_week'),
    sa.PrimaryKeyConstraint('calendar_id')
    )
    op.create_table('calendar_days',
    sa.Column('calendar_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('hours', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('note', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.ForeignKeyConstraint(['calendar_id'], ['calendars.calendar_id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('calendar_id', 'day')
    )
    op.create_table('calendar_changes',
    sa.Column('change_id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('calendar_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('actor', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('data', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('change_id')
    )
    op.create_index('calendar_changes_of_calendar', 'calendar_changes', ['calendar_id', 'change_id'], unique=False)
    # The hours that approvals were counted in until now.
    op.execute("""
        INSERT INTO calendars
            (calendar_id, title_zh, title_en, time_zone, week, holidays, revision, updated_by, updated_at)
        VALUES
            ('cn-default', '中国工作日', 'Working days in China', 'Asia/Shanghai',
             '[["09:00-18:00"], ["09:00-18:00"], ["09:00-18:00"], ["09:00-18:00"], ["09:00-18:00"], [], []]',
             'cn', 1, 'orderflow', now())
    """)
    op.execute("""
        CREATE TRIGGER calendar_changes_append_only BEFORE UPDATE OR DELETE ON calendar_changes
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """)
    op.execute("""
        CREATE TRIGGER calendar_changes_never_emptied BEFORE TRUNCATE ON calendar_changes
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """)


def downgrade() -> None:
    op.drop_table('calendar_changes')
    op.drop_table('calendar_days')
    op.drop_table('calendars')
