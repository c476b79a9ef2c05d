"""People of a script: who is there, and what they do at an approval that is only tried."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from domain.approval import Colleague, Decision, People
from domain.errors import DomainError
from domain.flow.approval_node import ApprovalNode
from domain.flow.definition import FlowDefinition
from domain.flow.script import ANSWERS, SIGNERS, Script, ScriptedEvent
from domain.flow.vocabulary import Role
from domain.rehearsal import Rehearsal
from domain.signers import Joining, Where

DECISIONS: Final = {
    "approved": Decision.APPROVE,
    "rejected": Decision.REJECT,
    "returned": Decision.RETURN,
    "abstained": Decision.ABSTAIN,
}
_TOP: Final = "top"
_EVERYBODY: Final = ""


def staff_for(flow: FlowDefinition, script: Script) -> People:
    """Made-up people: one in every role, called like it; `top` above everybody; and whoever is named."""
    approvals = [node for node in flow.nodes.values() if isinstance(node, ApprovalNode)]
    named = {
        approver.user
        for node in approvals
        for approver in (node.on_no_assignee, *node.cc, *(one for level in node.levels for one in level.to))
    }
    named |= {name for event in script.events for name in (event.by, event.person)}
    people = {role.value: Colleague(role.value, frozenset({role.value}), superior=_TOP) for role in Role}
    people |= {name: Colleague(name, superior=_TOP) for name in sorted(filter(None, named - people.keys()))}
    return people | {_TOP: Colleague(_TOP)}


@dataclass
class Part:
    """What the script has for one visit of an approval, first things first; `pressing`: what comes at once.

    `named` have a word of their own, or keep silent. The others agree as soon as they are asked, if it goes `smoothly`.
    """

    coming: list[ScriptedEvent]
    pressing: list[ScriptedEvent]
    named: frozenset[str]
    smoothly: bool

    def play(self, played: Rehearsal, event: ScriptedEvent, at: datetime) -> None:
        """Afterwards it has happened, as far as it may."""
        self.coming.remove(event)
        if event in self.pressing:
            self.pressing.remove(event)
        try:
            self._happen(played, event, at)
        except DomainError:
            # As in life: what may not be done has no effect.
            return

    def go_along(self, played: Rehearsal, at: datetime) -> None:
        """Afterwards everybody who is asked and has nothing else to say has agreed, if it goes smoothly."""
        if self.smoothly and not self.pressing:
            played.all_say(Decision.APPROVE, at, besides=self.named)

    def _happen(self, played: Rehearsal, event: ScriptedEvent, at: datetime) -> None:
        match event.event:
            case "withdrawn":
                played.withdraw()
            case "signer_added":
                played.add(event.by or _TOP, Joining(event.person or "", event.where or Where.BESIDE, event.of), at)
            case "signer_removed":
                played.remove(event.by or _TOP, event.person or "", at)
            case answer if event.by is not None:
                played.say(event.by, DECISIONS[answer], at)
            case answer:
                played.all_say(DECISIONS[answer], at, besides=self.named)


def part_in(left: list[ScriptedEvent], node: str, now: timedelta, *, smooth: bool) -> Part:
    """What comes at a visit of the node that begins now, taken out of what is left of the script; a person's next word,
    and that of everybody, are for the next visit."""
    fitting = [one for one in left if one.event in ANSWERS | SIGNERS and one.node in (None, node)]
    coming, speakers = list[ScriptedEvent](), set[str]()
    for one in sorted(fitting, key=lambda one: one.after or timedelta(0)):
        speaker = one.by or _EVERYBODY
        if one.event in ANSWERS and speaker in speakers:
            continue
        if one.event in ANSWERS:
            speakers.add(speaker)
        if one.event != "silence":
            coming.append(one)
        left.remove(one)
    pressing = [one for one in coming if (one.after or now) <= now]
    return Part(coming, pressing, frozenset(speakers - {_EVERYBODY}), smooth and _EVERYBODY not in speakers)
