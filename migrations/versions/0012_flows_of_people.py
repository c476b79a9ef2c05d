"""flows that people own: drafts, releases, sandbox runs, and who did what"""

import hashlib
import json

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0012'
down_revision = '0011'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('flow_changes',
    sa.Column('change_id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('key', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=True),
    sa.Column('sha256', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('actor', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('data', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('change_id')
    )
    op.create_index('flow_changes_of_key', 'flow_changes', ['key', 'change_id'], unique=False)
    op.create_table('flow_drafts',
    sa.Column('key', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('definition', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('sha256', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('problems', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('based_on', sa.Integer(), nullable=True),
    sa.Column('updated_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('key')
    )
    op.create_table('flow_layouts',
    sa.Column('key', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('nodes', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('updated_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('key')
    )
    op.create_table('flow_sandbox_runs',
    sa.Column('run_id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('key', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('sha256', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('passed', sa.Boolean(), nullable=False),
    sa.Column('scripts', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('took_ms', sa.Integer(), nullable=False),
    sa.Column('run_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('run_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('run_id')
    )
    op.create_index('flow_sandbox_runs_of_key', 'flow_sandbox_runs', ['key', 'run_id'], unique=False)
    op.create_table('flow_releases',
    sa.Column('release_id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('key', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('origin', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('starts_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('channels', postgresql.ARRAY(sa.Text()), nullable=True),
    sa.Column('percent', sa.Integer(), nullable=False),
    sa.Column('released_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('released_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ended_by', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint('percent BETWEEN 1 AND 100', name='release_percent'),
    sa.ForeignKeyConstraint(['key', 'version'], ['flow_versions.key', 'flow_versions.version'], ),
    sa.PrimaryKeyConstraint('release_id')
    )
    op.create_index('flow_releases_of_key', 'flow_releases', ['key', 'release_id'], unique=False)
    for column, until_now in (('origin', 'built_in'), ('published_by', 'orderflow')):
        op.add_column('flow_versions', sa.Column(
            column, sqlmodel.sql.sqltypes.AutoString(), nullable=False, server_default=until_now
        ))
        op.alter_column('flow_versions', column, server_default=None)
    op.add_column('flow_versions', sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=True))
    op.add_column('flow_versions', sa.Column('retired_at', sa.DateTime(timezone=True), nullable=True))
    _hash_without_version()
    op.execute("""
        CREATE FUNCTION refuse_other_flow() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' OR (OLD.key, OLD.version, OLD.sha256, OLD.definition, OLD.origin, OLD.published_by)
                IS DISTINCT FROM (NEW.key, NEW.version, NEW.sha256, NEW.definition, NEW.origin, NEW.published_by) THEN
                RAISE EXCEPTION 'a published flow stays as it is' USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER flow_versions_immutable BEFORE UPDATE OR DELETE ON flow_versions
        FOR EACH ROW EXECUTE FUNCTION refuse_other_flow()
    """)
    op.execute("""
        CREATE TRIGGER flow_changes_append_only BEFORE UPDATE OR DELETE ON flow_changes
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """)
    op.execute("""
        CREATE TRIGGER flow_changes_never_emptied BEFORE TRUNCATE ON flow_changes
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """)


def _hash_without_version() -> None:
    # The version is a label by now; the same content has the same hash under any number.
    connection = op.get_bind()
    for row in connection.execute(sa.text("SELECT key, version, definition FROM flow_versions")).all():
        content = {name: value for name, value in row.definition.items() if name != "version"}
        text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        connection.execute(
            sa.text("UPDATE flow_versions SET sha256 = :sha256 WHERE key = :key AND version = :version"),
            {"key": row.key, "version": row.version, "sha256": hashlib.sha256(text.encode()).hexdigest()},
        )


def downgrade() -> None:
    op.execute("DROP TRIGGER flow_versions_immutable ON flow_versions")
    op.execute("DROP FUNCTION refuse_other_flow()")
    op.drop_column('flow_versions', 'retired_at')
    op.drop_column('flow_versions', 'reason')
    op.drop_column('flow_versions', 'published_by')
    op.drop_column('flow_versions', 'origin')
    op.drop_index('flow_releases_of_key', table_name='flow_releases')
    op.drop_table('flow_releases')
    op.drop_index('flow_sandbox_runs_of_key', table_name='flow_sandbox_runs')
    op.drop_table('flow_sandbox_runs')
    op.drop_table('flow_layouts')
    op.drop_table('flow_drafts')
    op.drop_index('flow_changes_of_key', table_name='flow_changes')
    op.drop_table('flow_changes')
