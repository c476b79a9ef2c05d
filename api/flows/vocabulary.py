"""What a flow may be made of: for a designer's palette, forms and condition builder."""

from collections.abc import Collection, Mapping
from typing import Any, Final, get_args

from fastapi import APIRouter
from pydantic import BaseModel

from api.dependencies import SessionDep
from api.flows.reading import Reader
from api.flows.schemas import TitleView
from domain.flow import words
from domain.flow.conditions import MAX_LENGTH
from domain.flow.definition import MAX_NODES
from domain.flow.document import MAX_BYTES
from domain.flow.nodes import EndNode, Node, Result
from domain.flow.parts import NodeBase
from domain.flow.vocabulary import (
    ACTIONS,
    AUDIENCES,
    CORE_STEPS,
    EVENTS,
    FACTS,
    HOLD_REASONS,
    MOMENTS,
    NOTICES,
    QUEUES,
    ROLES,
)
from domain.money import exponents
from models.columns import now
from models.masters import LegalEntity
from store import calendars, flows, masters
from store.defaults import ENTITY
from store.listing import flows as listing

router = APIRouter(tags=["flows"])


class KindView(BaseModel):
    """A kind of node, the JSON Schema of its fields, and the fields that lead to other nodes."""

    kind: str
    title: TitleView
    schema_: dict[str, Any]
    links: list[str]

    model_config = {"serialize_by_alias": True, "alias_generator": lambda name: name.rstrip("_")}


class StepView(BaseModel):
    name: str
    title: TitleView
    core: bool
    money: bool
    compensation: str | None


class FactView(BaseModel):
    name: str
    title: TitleView
    type: str
    settable: bool


class RoleView(BaseModel):
    """A role, and how many people who work here have it."""

    name: str
    people: int


class ReasonView(BaseModel):
    name: str
    title: TitleView
    owner: str


class CalendarName(BaseModel):
    """A working calendar that an approval may name."""

    name: str
    title: TitleView


class CoreView(BaseModel):
    name: str
    steps: list[str]


class SubflowView(BaseModel):
    """A flow that others may call, by version, and how it can end."""

    key: str
    version: int
    title: TitleView
    outcomes: list[str]


class Limits(BaseModel):
    nodes: int
    condition_characters: int
    bytes: int


class Vocabulary(BaseModel):
    """Everything that a flow may name."""

    kinds: list[KindView]
    actions: list[StepView]
    events: list[StepView]
    facts: list[FactView]
    roles: list[RoleView]
    notices: list[str]
    audiences: list[str]
    queues: list[str]
    moments: list[str]
    calendars: list[CalendarName]
    hold_reasons: list[ReasonView]
    core_steps: list[CoreView]
    results: list[str]
    subflows: list[SubflowView]
    limits: Limits
    # Amounts of conditions are in the smallest unit of their currency, that of the books unless another one is named.
    currency: str
    decimals: dict[str, int]


@router.get("/v1/flow-vocabulary", summary="What a flow may be made of")
async def get_flow_vocabulary(_caller: Reader, session: SessionDep) -> Vocabulary:
    people = await listing.people_in_roles(session)
    core = frozenset[str]().union(*(step.steps for step in CORE_STEPS))
    return Vocabulary(
        kinds=_KINDS,
        actions=[
            StepView(
                name=name,
                title=_title(words.ACTIONS, name),
                core=one.core,
                money=one.money,
                compensation=one.compensation,
            )
            for name, one in ACTIONS.items()
        ],
        events=[
            StepView(
                name=name,
                title=_title(words.EVENTS, name),
                core=name in core,
                money=one.money,
                compensation=one.compensation,
            )
            for name, one in EVENTS.items()
        ],
        facts=[
            FactView(name=name, title=_title(words.FACTS, name), type=fact.kind.value, settable=fact.settable)
            for name, fact in FACTS.items()
        ],
        roles=[RoleView(name=role, people=people.get(role, 0)) for role in sorted(ROLES)],
        calendars=[
            CalendarName(name=row.calendar_id, title=TitleView(zh=row.title_zh, en=row.title_en))
            for row in await calendars.listed(session)
        ],
        **_names(),
        hold_reasons=[
            ReasonView(name=name, title=TitleView(zh=one.zh, en=one.en), owner=one.owner)
            for name, one in HOLD_REASONS.items()
        ],
        core_steps=[CoreView(name=step.name, steps=sorted(step.steps)) for step in CORE_STEPS],
        subflows=await _subflows(session),
        limits=Limits(nodes=MAX_NODES, condition_characters=MAX_LENGTH, bytes=MAX_BYTES),
        currency=(await masters.get(session, LegalEntity, ENTITY)).functional_currency,
        decimals=dict(exponents()),
    )


def _names() -> dict[str, list[str]]:
    found: dict[str, Collection[str]] = {
        "notices": NOTICES,
        "audiences": AUDIENCES,
        "queues": QUEUES,
        "moments": MOMENTS,
        "results": [result.value for result in Result],
    }
    return {name: sorted(names) for name, names in found.items()}


async def _subflows(session: SessionDep) -> list[SubflowView]:
    present, found = now(), []
    for release in await flows.releases(session):
        flow = release.flow
        if flow.match is None and release.starts_at <= present:
            outcomes = sorted({str(node.result) for node in flow.nodes.values() if isinstance(node, EndNode)})
            title = TitleView(zh=flow.title.zh, en=flow.title.en)
            found.append(SubflowView(key=flow.key, version=flow.version, title=title, outcomes=outcomes))
    return sorted(found, key=lambda one: (one.key, -one.version))


def _title(known: Mapping[str, tuple[str, str]], name: str) -> TitleView:
    zh, en = known[name]
    return TitleView(zh=zh, en=en)


def _kind(model: type[NodeBase]) -> KindView:
    kind = get_args(model.model_fields["kind"].annotation)[0]
    schema = model.model_json_schema(by_alias=True)
    links = [name for name in model.model_fields if '"x-link"' in _text(schema, name)]
    return KindView.model_construct(kind=kind, title=_title(words.KINDS, kind), schema_=schema, links=links)


def _text(schema: dict[str, Any], name: str) -> str:
    """The field's part of the schema, with the parts that it refers to."""
    part = str(schema["properties"][name])
    inner = [str(one) for ref, one in schema.get("$defs", {}).items() if f"/{ref}'" in part]
    return (part + "".join(inner)).replace("'", '"')


_KINDS: Final = [_kind(model) for model in get_args(get_args(Node)[0])]
