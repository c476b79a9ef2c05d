"""How the system stands, as an operator sees it."""

from typing import Literal

from pydantic import BaseModel

from api.fields import Moment

PartStatus = Literal["ok", "away"]


class DatabaseView(BaseModel):
    """PostgreSQL. `at_head`: its schema is the one of this release. Null: it is away."""

    status: PartStatus
    version: str | None
    at_head: bool | None
    connections: int | None


class TemporalView(BaseModel):
    """Temporal. Null: it is away."""

    status: PartStatus
    version: str | None
    namespace: str


class WorkerView(BaseModel):
    """A worker process that asked for tasks within the last 90 seconds. `version`: of its deployment, if it has one."""

    identity: str
    version: str | None
    queues: list[str]
    seen_at: Moment


class QueueView(BaseModel):
    """A task queue, for one kind of its tasks; `backlog` is about as large as it says."""

    queue: str
    kind: str
    workers: int
    backlog: int
    backlog_seconds: float


class RelayView(BaseModel):
    """What is still to be delivered to one destination, and the age of the oldest of it."""

    destination: str
    enabled: bool
    pending: int
    refused: int
    oldest_seconds: float


class InboxView(BaseModel):
    """What the sweeper has to hand over: how much, since when, and how much of it waits for an unknown order."""

    waiting: int
    oldest_seconds: float
    strays: int


class SystemView(BaseModel):
    """The parts, who works, what waits, and how far behind those are who carry messages. Null: that part is away."""

    release: str
    database: DatabaseView
    temporal: TemporalView
    workers: list[WorkerView] | None
    queues: list[QueueView] | None
    inbox: InboxView | None
    relays: list[RelayView] | None
    checks_age_seconds: float | None
