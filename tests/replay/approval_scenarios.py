"""Every way through an approval, by name."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from activities.approvals import ApprovalInput
from domain.approval import ApprovalState
from domain.flow.definition import FlowDefinition
from domain.flow.document import parse_definition
from domain.order import Standing
from domain.rehearsal import Rehearsal
from flows import builtin_flows
from tests.factories.approvals import gm_approval
from tests.factories.flows import sound_document
from tests.fakes.desk import Open, Word
from tests.fakes.shop import Shop
from tests.replay.acts import add_signer, cancel, ends, follow_up, order, pay, repeat, resolve, say, scan, skip
from tests.replay.stage import Scenario

_PAID_AND_DELIVERED: Final = (pay(), scan("delivered"), ends("completed"))


def approvals() -> Iterator[Scenario]:
    """People are asked, and answer."""
    approve = say("gina", "approve")
    yield order("approved", approve, *_PAID_AND_DELIVERED, flow=_asking)
    yield order("approved_in_a_branch", approve, *_PAID_AND_DELIVERED, flow=_in_branches)
    yield order("rejected_in_a_branch", say("gina", "reject"), ends("expired"), flow=_in_branches)
    yield order("approval_rejected", say("gina", "reject"), ends("rejected"), flow=_asking)
    yield order("approval_withdrawn", say("sally", "withdraw"), ends("rejected"), flow=_asking)
    yield order("approval_by_the_wrong_person", say("fred", "approve"), approve, *_PAID_AND_DELIVERED, flow=_asking)
    yield order("approval_said_twice", approve, repeat("approval_decided", 1), *_PAID_AND_DELIVERED, flow=_asking)
    yield order("approval_superseded", approve, say("gina", "reject"), *_PAID_AND_DELIVERED, flow=_asking)
    yield order("approval_asked_anew", say("orderflow", "change"), approve, *_PAID_AND_DELIVERED, flow=_asking)
    yield order("approval_returned", say("gina", "return"), approve, *_PAID_AND_DELIVERED, flow=_returning)
    yield order("approval_in_turn", approve, say("vera", "approve"), *_PAID_AND_DELIVERED, flow=_in_turn)
    yield order("approval_in_turn_rejected", approve, say("vera", "reject"), ends("rejected"), flow=_in_turn)
    yield order("approval_by_vote", say("vera", "abstain"), approve, *_PAID_AND_DELIVERED, flow=_by_vote)
    yield order(
        "approval_with_a_signer_more",
        add_signer("gina", "cora", "before"),
        say("cora", "approve"),
        approve,
        *_PAID_AND_DELIVERED,
        flow=_asking,
    )
    yield order("approval_cancelled", cancel, ends("cancelled"), flow=_asking)
    yield order(
        "approval_rejected_to_the_lane",
        say("gina", "reject"),
        resolve("retry"),
        approve,
        *_PAID_AND_DELIVERED,
        flow=_to_lane,
    )


def big_orders() -> Iterator[Scenario]:
    """Orders of the built-in flow for big ones, which finance reviews at their end."""
    approve, paid_and_delivered = say("gina", "approve"), (pay(), scan("delivered"))
    reviewed = (say("fred", "approve"), ends("completed"))
    yield order("big_completed", approve, *paid_and_delivered, *reviewed, flow=_big)
    yield order(
        "big_corrected",
        approve,
        *paid_and_delivered,
        say("fred", "reject"),
        resolve("retry"),
        *reviewed,
        flow=_big,
    )
    yield order("big_turned_down", pay(), say("gina", "reject"), ends("rejected"), flow=_big)


def approvals_over_time() -> Iterator[Scenario]:
    """People are asked, and do not answer in time."""
    yield order("approval_timed_out", ends("rejected"), flow=_asking)
    yield order(
        "approval_escalated",
        skip(timedelta(minutes=32)),
        say("vera", "approve"),
        *_PAID_AND_DELIVERED,
        flow=_asking,
    )


def late_decision() -> Scenario:
    """A decision comes for an order that has ended."""
    return Scenario(
        "follow_up/late_decision",
        (follow_up("approval.decided", Word("gina", "approve")), ends("SO-LATE-DECISION")),
        shop=_ended_in_review,
    )


def _ended_in_review() -> Shop:
    shop = Shop(standing=Standing(lifecycle="expired", version=7))
    asked = ApprovalInput("SO-LATE-DECISION", "gm", 1, "plain", 1, gm_approval())
    played = Rehearsal.opened(asked.approval, shop.desk.people, datetime.now(UTC))
    played.state = ApprovalState.TIMED_OUT
    shop.desk.opened["AP-1"] = Open(asked, played)
    return shop


def _big() -> FlowDefinition:
    """With a review by the wall clock: how long it is until an hour of work would differ from play to play."""
    big = next(flow for flow in builtin_flows() if flow.key == "normal_big")
    document = big.model_dump(mode="json", exclude_defaults=True)
    del document["nodes"]["review"]["calendar"]
    return parse_definition(document)


def _in_branches() -> FlowDefinition:
    """Somebody is asked while the flow says a word of its own."""
    branches = [{"label": "word", "start": "word"}, {"label": "people", "start": "gm"}]
    asks: dict[str, Any] = {"kind": "approval", "assignees": [{"role": "gm"}]}
    document = sound_document(
        both={"kind": "parallel", "branches": branches, "next": "reserve"},
        word={"kind": "set", "values": {"flow.urgent": True}, "next": "reserve"},
        gm=asks | {"outcomes": {"approved": "reserve", "rejected": "undo"}},
    )
    return parse_definition(document | {"start": "both"})


def _asking() -> FlowDefinition:
    return _asked(approved="reserve", rejected="no", no={"kind": "end", "result": "rejected"})


def _in_turn() -> FlowDefinition:
    return _of_two("sequence")


def _by_vote() -> FlowDefinition:
    return _of_two({"vote": 0.5})


def _of_two(mode: Any) -> FlowDefinition:
    document = _asking().model_dump(mode="json", exclude_defaults=True)
    document["nodes"]["gm"] |= {"mode": mode, "assignees": [{"user": "gina"}, {"user": "vera"}]}
    return parse_definition(document)


def _returning() -> FlowDefinition:
    again = {"kind": "action", "action": "order.check", "next": "gm"}
    return _asked(approved="reserve", rejected="again", returned="again", again=again)


def _to_lane() -> FlowDefinition:
    return _asked(approved="reserve", rejected="lane")


def _asked(**ways_and_nodes: Any) -> FlowDefinition:
    """The general manager is asked first; texts are the ways from there, documents further nodes."""
    ways = {name: way for name, way in ways_and_nodes.items() if isinstance(way, str)}
    nodes = {name: node for name, node in ways_and_nodes.items() if not isinstance(node, str)}
    gm = gm_approval(outcomes=ways).model_dump(mode="json", exclude_defaults=True)
    return parse_definition(sound_document(gm=gm, **nodes) | {"start": "gm"})
