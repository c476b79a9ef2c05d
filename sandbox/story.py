"""What the script still has to say, and what goes by itself where it says nothing."""

from datetime import datetime, timedelta

from domain.flow.acting import Part, part_in
from domain.flow.script import Script, ScriptedEvent

_NOTHING = timedelta(0)


class Story:
    """The script of one run; each scripted thing happens once."""

    def __init__(self, script: Script, began: datetime) -> None:
        self._began = began
        self._left = list(script.events)
        self._smooth = script.otherwise == "smooth"

    def failure_of(self, node: str) -> str | None:
        """Why the step at this node does not succeed; None: it does."""
        found = self._take(node, frozenset({"failed"}))
        return None if found is None else found.reason or "step_failed"

    def coming(self, node: str, event: str) -> ScriptedEvent | None:
        """What comes for whoever waits for this event here: scripted, by itself, or never."""
        return self._take(node, frozenset({event})) or (ScriptedEvent(event=event) if self._smooth else None)

    def part(self, node: str, at: datetime) -> Part:
        """What people say and do at a visit of this approval that begins now."""
        return part_in(self._left, node, self.since(at), smooth=self._smooth)

    def since(self, at: datetime) -> timedelta:
        """How long after the order was placed that is."""
        return at - self._began

    def choice(self, *nodes: str) -> ScriptedEvent | None:
        """What somebody chooses in the lane of this node; None: nobody does."""
        return next((found for node in nodes if (found := self._take(node, frozenset({"resolved"})))), None)

    def _take(self, node: str, wanted: frozenset[str]) -> ScriptedEvent | None:
        fitting = [one for one in self._left if one.event in wanted and one.node in (None, node)]
        if not fitting:
            return None
        found = min(fitting, key=lambda one: one.after or _NOTHING)
        self._left.remove(found)
        return found
