"""What the routes of flows take and answer."""

from dataclasses import asdict
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from api.fields import Body, LongText, Moment, Word
from domain.flow.definition import FlowDefinition
from domain.flow.diff import FlowDiff
from domain.flow.parts import NodeId
from domain.flow.problems import Problem
from models.flow import FlowChange, FlowDraft, FlowRelease, FlowSandboxRun, FlowVersion

FlowKey = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Number = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]
NumberInPath = Annotated[int, Field(ge=1, le=2**31 - 1)]
Percent = Annotated[int, Field(strict=True, ge=1, le=100)]
Coordinate = Annotated[int, Field(strict=True, ge=-100_000, le=100_000)]
Status = Literal["draft", "validated", "sandbox_passed"]


class FlowSent(Body):
    """A flow as JSON or as YAML text."""

    definition: dict[str, Any] | None = None
    yaml: Annotated[str, Field(max_length=1_000_000)] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.definition is None) == (self.yaml is None):
            raise ValueError("needs either definition or yaml")
        return self


class ProblemView(BaseModel):
    """Something to mend, on its node; an empty node means the flow as a whole."""

    node: str
    code: str
    message: str

    @classmethod
    def of(cls, problem: Problem) -> Self:
        return cls(node=problem.node, code=problem.code, message=problem.detail)


class Verdict(BaseModel):
    """The hash of a flow whose form is right, and everything that is wrong with it."""

    sha256: str | None
    problems: list[ProblemView]


class DraftView(BaseModel):
    """What people are drawing; `changed`: it is another content than the newest published one."""

    key: str
    revision: int
    status: Status
    sha256: str | None
    based_on: int | None
    definition: dict[str, Any]
    problems: list[ProblemView]
    updated_by: str
    updated_at: Moment
    changed: bool

    @classmethod
    def of(cls, row: FlowDraft, *, passed: bool, changed: bool) -> Self:
        problems = [ProblemView(node=one["node"], code=one["code"], message=one["detail"]) for one in row.problems]
        known = row.model_dump(include={"key", "revision", "sha256", "based_on", "definition", "updated_by"})
        return cls(
            **known,
            status=status_of(row, passed=passed),
            problems=problems,
            updated_at=row.updated_at,
            changed=changed,
        )


def status_of(row: FlowDraft, *, passed: bool) -> Status:
    """How far the draft has come."""
    if row.problems or row.sha256 is None:
        return "draft"
    return "sandbox_passed" if passed else "validated"


class FieldDiffView(BaseModel):
    field: str
    before: Any
    after: Any


class NodeDiffView(BaseModel):
    node: str
    change: Literal["added", "removed", "changed"]
    fields: list[FieldDiffView]


class DiffView(BaseModel):
    """What differs between two versions of a flow, by node."""

    model_config = {"populate_by_name": True, "serialize_by_alias": True}

    from_: Annotated[str, Field(alias="from")]
    to: str
    same: bool
    head: list[FieldDiffView]
    nodes: list[NodeDiffView]

    @classmethod
    def of(cls, found: FlowDiff, before: str, after: str) -> Self:
        return cls.model_validate(asdict(found) | {"from": before, "to": after, "same": found.same})


class VersionView(BaseModel):
    """One version that was published."""

    version: int
    sha256: str
    status: Literal["published", "retired"]
    origin: str
    published_by: str
    published_at: Moment
    reason: str | None
    orders_open: int

    @classmethod
    def of(cls, row: FlowVersion, orders_open: int) -> Self:
        status = "published" if row.retired_at is None else "retired"
        return cls.model_validate(row.model_dump() | {"status": status, "orders_open": orders_open})


class VersionContent(BaseModel):
    """One version and all of its content."""

    key: str
    version: int
    sha256: str
    status: Literal["published", "retired"]
    definition: dict[str, Any]
    yaml: str


class ReleaseView(BaseModel):
    """Which orders take a version. `shadowed`: newer releases leave it nothing."""

    release_id: int
    version: int
    origin: str
    starts_at: Moment
    channels: list[str] | None
    percent: int
    state: Literal["scheduled", "active", "shadowed", "ended"]
    by: str
    at: Moment
    ended_by: str | None
    ended_at: Moment | None

    @classmethod
    def of(cls, row: FlowRelease, state: str) -> Self:
        return cls.model_validate(row.model_dump() | {"state": state, "by": row.released_by, "at": row.released_at})


class MatchView(BaseModel):
    priority: int
    when: str


class TitleView(BaseModel):
    zh: str
    en: str


class DraftSummary(BaseModel):
    revision: int
    status: Status
    updated_by: str
    updated_at: Moment


class FlowSummary(BaseModel):
    """A flow, the newest version that any order takes now, and its draft."""

    key: str
    title: TitleView | None
    match: MatchView | None
    version: int | None
    origin: str | None
    draft: DraftSummary | None
    orders_open: int


class FlowList(BaseModel):
    """All flows; there is no further page."""

    data: list[FlowSummary]
    next_cursor: str | None


class Spot(Body):
    x: Coordinate
    y: Coordinate


class LayoutBody(Body):
    """Where the boxes of a flow stand; no part of any version."""

    nodes: Annotated[dict[NodeId, Spot], Field(max_length=500)]


class FlowView(FlowSummary):
    """A flow with all its versions and releases, the newest first."""

    versions: list[VersionView]
    releases: list[ReleaseView]
    layout: dict[str, Spot]


class ChangeView(BaseModel):
    """Who did what to a flow, and why."""

    change_id: int
    kind: str
    version: int | None
    sha256: str | None
    actor: str
    reason: str | None
    data: dict[str, Any]
    at: Moment

    @classmethod
    def of(cls, row: FlowChange) -> Self:
        return cls.model_validate(row.model_dump())


class ReleaseTerms(Body):
    """Which orders take a version, and why; all of them from now on, if nothing else is said."""

    reason: LongText
    starts_at: Moment | None = None
    channels: Annotated[list[Word], Field(min_length=1, max_length=100)] | None = None
    percent: Percent = 100


class PublishBody(ReleaseTerms):
    """`sha256`: the hash of the draft that was looked at."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ReleaseBody(ReleaseTerms):
    version: Number


class Reason(Body):
    reason: LongText


class Released(BaseModel):
    """The version that orders take, and the release that says so."""

    key: str
    version: int
    release_id: int
    sha256: str


class ScriptResult(BaseModel):
    """What one story has shown."""

    name: str
    passed: bool
    result: str
    path: list[str]
    unmet: list[str]
    error: str | None


class SandboxRunView(BaseModel):
    """A run of the real workflow, of one content, on a clock of its own."""

    run_id: int
    sha256: str
    passed: bool
    by: str
    at: Moment
    took_ms: int
    scripts: list[ScriptResult]

    @classmethod
    def of(cls, row: FlowSandboxRun) -> Self:
        return cls.model_validate(row.model_dump() | {"by": row.run_by, "at": row.run_at})


class SandboxRuns(BaseModel):
    """The last sandbox runs of a flow, the newest first; there is no further page."""

    data: list[SandboxRunView]
    next_cursor: str | None


def plain(flow: FlowDefinition) -> dict[str, Any]:
    """The flow as JSON, with every default left out."""
    return flow.model_dump(mode="json", exclude_defaults=True)
