"""What people say to an approval: whose turn it is, whose word counts, and what all of them come to."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from domain.approval import ApprovalState, Asked, Decision, Outcome
from domain.flow.approval_node import Mode, Vote

_DECIDED: Final = frozenset({ApprovalState.APPROVED, ApprovalState.REJECTED, ApprovalState.RETURNED})
SILENT: Final = ("asked", "waiting")
SIGNED: Final = ("approved", "rejected", "returned", "abstained")
_STATE_AFTER: Final = {
    Decision.APPROVE: "approved",
    Decision.REJECT: "rejected",
    Decision.RETURN: "returned",
    Decision.ABSTAIN: "abstained",
}


@dataclass(frozen=True, slots=True)
class Assignment:
    """A person on the list of one level, and what they have said: asked, waiting for their turn, or a word.

    Those of one seat speak as one: place after place, and their word is yes once all of them have agreed.
    """

    level: int
    person: str
    state: str = "asked"
    seat: int = 0
    place: int = 0
    on_behalf_of: str | None = None
    role: str | None = None
    added_by: str | None = None

    @property
    def key(self) -> tuple[int, str]:
        return self.level, self.person

    @property
    def asks(self) -> Asked:
        """The person, and in whose place."""
        return Asked(self.person, self.on_behalf_of, self.role)


Listed = tuple[Assignment, ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """How a vote stands: how many have to agree, and what was said by how many."""

    needed: int
    agreed: int
    rejected: int
    abstained: int
    silent: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How an approval stands when somebody's decision comes to its turn."""

    state: ApprovalState
    mode: Mode
    assignments: Listed = ()
    returns: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a decision: its outcome, on which level it counts, and the state that the approval takes."""

    outcome: Outcome
    level: int | None = None
    state: ApprovalState = ApprovalState.OPEN


def judge(standing: Standing, person: str, decision: Decision) -> Verdict:
    """The one place where a decision is found effective: the first valid one wins, whatever comes at its side."""
    if standing.state is not ApprovalState.OPEN:
        late = Outcome.SUPERSEDED if standing.state in _DECIDED else Outcome.TOO_LATE
        return Verdict(late, state=standing.state)
    own = [one for one in standing.assignments if one.person == person and one.state in ("asked", *SIGNED)]
    offered = {Decision.RETURN: standing.returns, Decision.ABSTAIN: isinstance(standing.mode, Vote)}
    if not own or not offered.get(decision, True):
        return Verdict(Outcome.NOT_ASSIGNEE)
    levels = [one.level for one in own if one.state == "asked"]
    if not levels:
        return Verdict(Outcome.SUPERSEDED)
    state = settled(standing.mode, with_word(standing.assignments, person, decision))
    return Verdict(Outcome.EFFECTIVE, max(levels), state or ApprovalState.OPEN)


def settled(mode: Mode, listed: Listed) -> ApprovalState | None:
    """What the words come to; None while it depends on what others will say. The highest level that knows, tells."""
    # Whom a level had asked in vain is dropped when the next one is asked: what the others of it said is no outcome.
    given_up = {one.level for one in listed if one.state == "dropped"}
    counted = [one for one in listed if one.state in (*SILENT, *SIGNED) and one.level not in given_up]
    if any(one.state == "returned" for one in counted):
        return ApprovalState.RETURNED
    for level in sorted({one.level for one in counted}, reverse=True):
        seats = _seats(counted, level)
        found = _outcome(mode, [_word(seat) for seat in seats])
        if found is not None:
            return found
    return None


def tally(vote: Vote, listed: Iterable[Assignment], level: int) -> Tally:
    """How the vote of this level stands."""
    return _counted(vote, [_word(seat) for seat in _seats(listed, level)])


def _outcome(mode: Mode, words: list[str]) -> ApprovalState | None:
    if isinstance(mode, Vote):
        found = _counted(mode, words)
        if found.agreed >= found.needed:
            return ApprovalState.APPROVED
        return ApprovalState.REJECTED if found.agreed + found.silent < found.needed else None
    if "rejected" in words:
        return ApprovalState.REJECTED
    enough = any if mode == "any" else all
    return ApprovalState.APPROVED if enough(word == "approved" for word in words) else None


def _counted(vote: Vote, words: list[str]) -> Tally:
    agreed, rejected, abstained = (words.count(word) for word in ("approved", "rejected", "abstained"))
    silent = len(words) - agreed - rejected - abstained
    return Tally(vote.needed(len(words), abstained), agreed, rejected, abstained, silent)


def _seats(listed: Iterable[Assignment], level: int) -> list[list[Assignment]]:
    """Those of a level who count, seat by seat in their order."""
    seats: dict[int, list[Assignment]] = {}
    for one in listed:
        if one.level == level and one.state in (*SILENT, *SIGNED):
            seats.setdefault(one.seat, []).append(one)
    return [seats[seat] for seat in sorted(seats)]


def _word(seat: list[Assignment]) -> str:
    states = {one.state for one in seat}
    return next((word for word in ("returned", "rejected", "abstained", *SILENT) if word in states), "approved")


def with_word(listed: Listed, person: str, decision: Decision) -> Listed:
    """The same list with the person's word wherever they are asked."""
    word = _STATE_AFTER[decision]
    return tuple(replace(one, state=word) if one.person == person and one.state == "asked" else one for one in listed)


def arranged(mode: Mode, listed: Listed) -> Listed:
    """The same list with everybody asked whose turn it is, and nobody else who has not spoken."""
    turns: dict[tuple[int, str], str] = {}
    for level in {one.level for one in listed}:
        seats = _seats(listed, level)
        undecided = [seat for seat in seats if _word(seat) in SILENT]
        for seat in seats:
            silent = [one for one in seat if one.state in SILENT]
            first = min((one.place for one in silent), default=0)
            moves = seat in (undecided[:1] if mode == "sequence" else undecided)
            for one in silent:
                turns[one.key] = "asked" if moves and one.place == first else "waiting"
                if seat not in undecided:
                    # Somebody of the seat has spoken against it or abstained: the others' word would change nothing.
                    turns[one.key] = "excused"
    return tuple(replace(one, state=turns.get(one.key, one.state)) for one in listed)
