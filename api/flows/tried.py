"""What the routes that try a flow take and answer."""

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, TypeAdapter, model_validator

from api.fields import Body, Key, Moment
from api.flows.schemas import FlowKey, Number
from domain.flow.backtest import Backtest, ChangedWay, Way
from domain.flow.definition import FlowDefinition
from domain.flow.script import FactsSent, Script
from domain.flow.simulate import Trial, TriedStep

MAX_ORDERS = 10_000
SHOWN = 200
_SPAN: TypeAdapter[timedelta] = TypeAdapter(timedelta)


class SimulateBody(Body):
    """A flow, an order's facts, and what happens to it."""

    definition: dict[str, Any] | None = None
    key: FlowKey | None = None
    version: Number | Literal["draft"] = "draft"
    order_no: Key | None = None
    facts: FactsSent = Field(default_factory=dict)
    script: Script = Script()

    @model_validator(mode="after")
    def _one_flow(self) -> Self:
        if (self.definition is None) == (self.key is None):
            raise ValueError("needs either definition or key")
        return self


class LinkView(BaseModel):
    """A link that was taken; `field` is empty where a person chose, or the order's own lane stepped in."""

    model_config = {"populate_by_name": True, "serialize_by_alias": True}

    from_: Annotated[str, Field(alias="from")]
    field: str
    to: str


class StepView(BaseModel):
    """One visit of a node: how long after placing the order it was entered and left, and along which link."""

    node: str
    kind: str
    visit: int
    after: str
    left_after: str
    outcome: str
    field: str
    to: str
    detail: str

    @classmethod
    def of(cls, step: TriedStep) -> Self:
        return cls(
            node=step.node,
            kind=step.kind,
            visit=step.visit,
            after=span(step.after),
            left_after=span(step.left_after),
            outcome=step.outcome,
            field=step.field,
            to=step.to,
            detail=step.detail,
        )


class TrialView(BaseModel):
    """Where the order went. `met`: whether what the script expects has come; null when it expects nothing."""

    result: str
    at: str
    ended_after: str
    path: list[str]
    links: list[LinkView]
    steps: list[StepView]
    met: bool | None
    unmet: list[str]
    took_ms: int

    @classmethod
    def of(cls, trial: Trial, script: Script, took_ms: int) -> Self:
        unmet = script.unmet(trial.result, trial.path)
        return cls(
            result=trial.result,
            at=trial.at,
            ended_after=span(trial.ended_after),
            path=list(trial.path),
            links=[LinkView(from_=one.node, field=one.field, to=one.to) for one in trial.steps if one.to],
            steps=[StepView.of(one) for one in trial.steps],
            met=None if script.expect is None else not unmet,
            unmet=unmet,
            took_ms=took_ms,
        )


class BacktestBody(Body):
    """How many of the last orders are tried, and since when."""

    limit: Annotated[int, Field(strict=True, ge=1, le=MAX_ORDERS)] = 1000
    since: Moment | None = None


class WayView(BaseModel):
    flow: str
    version: int
    path: list[str]

    @classmethod
    def of(cls, way: Way) -> Self:
        return cls(flow=way.flow, version=way.version, path=list(way.path))


class ChangedOrder(BaseModel):
    """A real order that the draft would send another way, and why."""

    order_no: str
    before: WayView
    after: WayView
    why: Literal["match", "branch", "path"]
    node: str | None
    detail: str
    total_minor: int | None

    @classmethod
    def of(cls, change: ChangedWay, total_minor: int | None) -> Self:
        ways = {"before": WayView.of(change.before), "after": WayView.of(change.after)}
        known = {"order_no": change.order_no, "why": change.why, "node": change.node, "detail": change.detail}
        return cls.model_validate({**known, **ways, "total_minor": total_minor})


class ReasonCount(BaseModel):
    """How many orders change for one reason."""

    why: str
    node: str | None
    before: str
    after: str
    orders: int


class BacktestView(BaseModel):
    """How many of the last orders the draft would send another way; `changes` are the newest of them."""

    orders: int
    changed: int
    undecided: int
    took_ms: int
    sha256: str
    by_reason: list[ReasonCount]
    changes: list[ChangedOrder]

    @classmethod
    def of(cls, done: Backtest, draft: FlowDefinition, totals: dict[str, int | None], took_ms: int) -> Self:
        counts = [
            ReasonCount(why=why, node=node, before=before, after=after, orders=orders)
            for (why, node, before, after), orders in done.reasons()
        ]
        return cls(
            orders=done.orders,
            changed=len(done.changes),
            undecided=done.undecided,
            took_ms=took_ms,
            sha256=draft.fingerprint,
            by_reason=counts,
            changes=[ChangedOrder.of(one, totals.get(one.order_no)) for one in done.changes[:SHOWN]],
        )


def span(value: timedelta) -> str:
    """The span as an ISO 8601 duration."""
    return str(_SPAN.dump_python(value, mode="json"))
