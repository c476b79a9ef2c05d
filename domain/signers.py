"""Everybody who signs an approval: in turn, through whoever stands in, and who joins or leaves while it is open."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from domain.approval import (
    ApprovalState,
    Asked,
    CannotBeAsked,
    Decision,
    NotASigner,
    NotAssignee,
    People,
    Round,
    TooManySigners,
    standing_in,
)
from domain.flow.approval_node import ApprovalNode
from domain.signing import (
    SIGNED,
    SILENT,
    Assignment,
    Listed,
    Standing,
    Verdict,
    arranged,
    judge,
    settled,
    with_word,
)

MAX_ADDED: Final = 20


class Where(StrEnum):
    """Where a person who is added signs: first, and then whoever is meant; next, after them; or at their side."""

    BEFORE = "before"
    AFTER = "after"
    BESIDE = "beside"


@dataclass(frozen=True, slots=True)
class Joining:
    """Who is added where; `of`: before, after or beside whom, if not whoever adds them."""

    person: str
    where: Where
    of: str | None = None


def _with(listed: Listed, new: Assignment) -> Listed:
    return (*(one for one in listed if one.key != new.key), new)


@dataclass(frozen=True, slots=True)
class Signers:
    """Everybody on the lists of an approval, of whom none but the right ones are asked. `barred`: whose order it is."""

    node: ApprovalNode
    people: People
    barred: frozenset[str] = frozenset()
    listed: Listed = ()

    @property
    def asked(self) -> Listed:
        """Those whose word is awaited now."""
        return tuple(one for one in self.listed if one.state == "asked")

    @property
    def state(self) -> ApprovalState | None:
        """What was said comes to this; None: to nothing yet."""
        return settled(self.node.mode, self.listed)

    @property
    def silent(self) -> list[Asked]:
        """Those of the latest level who have not spoken in time, and in whose place."""
        latest = max((one.level for one in self.listed), default=0)
        return [one.asks for one in self.asked if one.level == latest]

    def judged(self, state: ApprovalState, person: str, decision: Decision) -> Verdict:
        """What becomes of the person's word to an approval in this state."""
        returns = self.node.outcomes.returned is not None
        return judge(Standing(state, self.node.mode, self.listed, returns), person, decision)

    def awaited_since(self, before: "Signers") -> tuple[Listed, bool]:
        """Whose turn has come since then, and whether nobody is awaited any more who was awaited then."""
        earlier, present = {one.key for one in before.asked}, {one.key for one in self.asked}
        return tuple(one for one in self.asked if one.key not in earlier), not earlier & present

    def opened(self, found: Round, *, keep: bool) -> "Signers":
        """With the people of a level, each in a seat of their own; those of earlier levels only if they are kept."""
        kept = tuple(
            one if keep or one.state not in SILENT else replace(one, state="dropped")
            for one in self.listed
            if one.level != found.level
        )
        new = tuple(
            Assignment(found.level, one.person, "waiting", seat, 0, one.on_behalf_of, one.role)
            for seat, one in enumerate(found.asked)
        )
        return self._in_turn((*kept, *new))

    def said(self, person: str, decision: Decision) -> "Signers":
        """With the person's word on every list that asks them."""
        return self._in_turn(with_word(self.listed, person, decision))

    def handed_on(self, by: str, to: str, level: int, *, keeps: bool) -> "Signers":
        """With somebody else in the person's place; where operations hands on what it was not asked, at their side.

        Raises NotAssignee, CannotBeAsked.
        """
        own = max((one for one in self.asked if one.person == by), key=lambda one: one.level, default=None)
        if own is None and not keeps:
            raise NotAssignee("Only who is asked, or operations, hands a decision on.")
        self._require_free(to)
        if own is None:
            return self._in_turn(_with(self.listed, self._beside(None, Assignment(level, to))))
        left = tuple(replace(one, state="transferred") if one is own else one for one in self.listed)
        return replace(self, listed=_with(left, replace(own, person=to, on_behalf_of=None)))

    def joined(self, by: str, joins: Joining, level: int, *, keeps: bool) -> "Signers":
        """With somebody more: before or after whoever is meant, in their seat, or beside them, in one of their own.

        Raises NotAssignee, NotASigner, CannotBeAsked, TooManySigners.
        """
        anchor = self._anchor(by, joins, keeps=keeps)
        removed = any(one.person == joins.person and one.state == "removed" for one in self.listed)
        self._require_free(joins.person, barred=removed)
        if sum(one.added_by is not None for one in self.listed) >= MAX_ADDED:
            raise TooManySigners("No more people are added to this approval.")
        new = Assignment(anchor.level if anchor else level, joins.person, "waiting", added_by=by)
        if joins.where is Where.BESIDE or anchor is None:
            return self._in_turn(_with(self.listed, self._beside(anchor, new)))
        place = anchor.place + (joins.where is Where.AFTER)
        moved = tuple(
            replace(one, place=one.place + 1)
            if (one.level, one.seat) == (anchor.level, anchor.seat) and one.place >= place
            else one
            for one in self.listed
        )
        return self._in_turn(_with(moved, replace(new, seat=anchor.seat, place=place)))

    def removed(self, by: str, person: str, *, keeps: bool) -> "Signers":
        """Without somebody who was added and has not decided. Raises NotASigner, NotAssignee."""
        row = self._silent(person)
        if row is None or row.added_by is None:
            raise NotASigner("Only who was added and has not decided is taken off the list.")
        if not keeps and row.added_by != by:
            raise NotAssignee("Only who added a signer, or operations, takes them off the list.")
        return self._in_turn(tuple(replace(one, state="removed") if one is row else one for one in self.listed))

    def _anchor(self, by: str, joins: Joining, *, keeps: bool) -> Assignment | None:
        meant = joins.of or by
        row = self._silent(meant)
        if not keeps and (row is None or meant != by):
            raise NotAssignee("Only who is to decide, or operations, adds somebody.")
        if row is None and (joins.of is not None or joins.where is not Where.BESIDE):
            raise NotASigner("Whom the new signer stands before, after or beside has to be one who is to decide.")
        return row

    def _silent(self, person: str) -> Assignment | None:
        silent = [one for one in self.listed if one.person == person and one.state in SILENT]
        return max(silent, key=lambda one: one.level, default=None)

    def _require_free(self, person: str, *, barred: bool = False) -> None:
        busy = any(one.person == person and one.state in (*SILENT, *SIGNED) for one in self.listed)
        if barred or busy or person not in self.people or person in self.barred:
            raise CannotBeAsked("This person cannot be asked.", person=person)

    def _beside(self, anchor: Assignment | None, new: Assignment) -> Assignment:
        """In a sequence the seat is the turn, so whoever signs at the same time shares it; elsewhere it is a word."""
        on_level = [one for one in self.listed if one.level == new.level]
        if self.node.mode == "sequence":
            at = anchor or next((one for one in on_level if one.state == "asked"), None)
            if at is not None:
                return replace(new, seat=at.seat, place=at.place)
        return replace(new, seat=max((one.seat for one in on_level), default=-1) + 1)

    def _in_turn(self, listed: Listed) -> "Signers":
        """With everybody asked whose turn it is; who is away by then, through whoever stands in for them."""
        if settled(self.node.mode, listed) is not None:
            # It is over: it is nobody's turn any more.
            return replace(self, listed=listed)
        before, found = {one.key for one in self.asked}, replace(self, listed=arranged(self.node.mode, listed))
        while (away := next(found._away(before), None)) is not None:
            one, stands_in = away
            busy = any(
                other.key == (one.level, stands_in.person) and other.state in (*SILENT, *SIGNED)
                for other in found.listed
            )
            rest = tuple(other for other in found.listed if other is not one)
            if busy:
                # Who is asked in their own right is not asked a second time for somebody else.
                changed = (*rest, replace(one, state="excused"))
            else:
                changed = _with(rest, replace(one, person=stands_in.person, on_behalf_of=stands_in.on_behalf_of))
            found = replace(self, listed=arranged(self.node.mode, changed))
        return replace(found, listed=tuple(sorted(found.listed, key=lambda one: (one.level, one.seat, one.place))))

    def _away(self, before: set[tuple[int, str]]) -> Iterator[tuple[Assignment, Asked]]:
        if self.node.delegation != "follow":
            return
        for one in self.asked:
            if one.on_behalf_of is None and one.key not in before and one.person in self.people:
                found = standing_in(self.people, one.person, one.role, self.barred, follow=True)
                if found.on_behalf_of is not None:
                    yield one, found
