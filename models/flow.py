"""Flows: their published versions, who takes them, the drafts people work on, what was tried, and who did what."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKeyConstraint, Identity, Index, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from models.columns import Document, moment, written_at


class FlowVersion(SQLModel, table=True):
    """A published flow definition; its content is immutable, and known by its hash."""

    __tablename__ = "flow_versions"

    key: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    sha256: str
    definition: dict[str, Any] = Field(sa_type=Document)
    # `built_in`: it came with the product; `people`: somebody here has published it.
    origin: str = "built_in"
    published_by: str = "orderflow"
    reason: str | None = None
    published_at: datetime = written_at()
    retired_at: datetime | None = moment()


class FlowRelease(SQLModel, table=True):
    """Which orders take a version: from when on, of which channels (none named: all), how many in a hundred."""

    __tablename__ = "flow_releases"
    __table_args__ = (
        ForeignKeyConstraint(["key", "version"], ["flow_versions.key", "flow_versions.version"]),
        CheckConstraint("percent BETWEEN 1 AND 100", name="release_percent"),
        Index("flow_releases_of_key", "key", "release_id"),
    )

    release_id: int | None = Field(
        default=None, sa_column=Column("release_id", BigInteger, Identity(always=True), primary_key=True)
    )
    key: str
    version: int
    origin: str = "built_in"
    starts_at: datetime = written_at()
    channels: list[str] | None = Field(default=None, sa_type=ARRAY(Text))
    percent: int = 100
    released_by: str = "orderflow"
    released_at: datetime = written_at()
    ended_by: str | None = None
    ended_at: datetime | None = moment()


class FlowDraft(SQLModel, table=True):
    """What people are drawing for a flow, with every problem it still has; one draft per flow."""

    __tablename__ = "flow_drafts"

    key: str = Field(primary_key=True)
    revision: int = 1
    definition: dict[str, Any] = Field(sa_type=Document)
    # None while the form is wrong.
    sha256: str | None = None
    problems: list[dict[str, str]] = Field(default_factory=list, sa_type=Document)
    based_on: int | None = None
    updated_by: str
    updated_at: datetime = written_at()


class FlowLayout(SQLModel, table=True):
    """Where a flow's boxes stand on the canvas; no part of any version."""

    __tablename__ = "flow_layouts"

    key: str = Field(primary_key=True)
    nodes: dict[str, Any] = Field(default_factory=dict, sa_type=Document)
    updated_by: str
    updated_at: datetime = written_at()


class FlowSandboxRun(SQLModel, table=True):
    """What a sandbox run of one content has shown."""

    __tablename__ = "flow_sandbox_runs"
    __table_args__ = (Index("flow_sandbox_runs_of_key", "key", "run_id"),)

    run_id: int | None = Field(
        default=None, sa_column=Column("run_id", BigInteger, Identity(always=True), primary_key=True)
    )
    key: str
    sha256: str
    passed: bool
    scripts: list[dict[str, Any]] = Field(default_factory=list, sa_type=Document)
    took_ms: int
    run_by: str
    run_at: datetime = written_at()


class FlowChange(SQLModel, table=True):
    """Who did what to a flow, and why; append-only."""

    __tablename__ = "flow_changes"
    __table_args__ = (Index("flow_changes_of_key", "key", "change_id"),)

    change_id: int | None = Field(
        default=None, sa_column=Column("change_id", BigInteger, Identity(always=True), primary_key=True)
    )
    key: str
    kind: str
    version: int | None = None
    sha256: str | None = None
    actor: str
    reason: str | None = None
    data: dict[str, Any] = Field(default_factory=dict, sa_type=Document)
    at: datetime = written_at()
