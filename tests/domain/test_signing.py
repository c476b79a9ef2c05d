"""Approvals of several people: in turn, by vote, and with people who join and leave while it is open."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.approval import (
    AlreadyDecided,
    ApprovalState,
    CannotBeAsked,
    Case,
    Colleague,
    Decision,
    NotASigner,
    NotAssignee,
    Outcome,
    TooManySigners,
)
from domain.errors import DomainError
from domain.flow.approval_node import Vote
from domain.rehearsal import Rehearsal
from domain.signers import MAX_ADDED, Joining, Where
from domain.signing import tally
from tests.factories.approvals import gm_approval

START = datetime(2026, 11, 23, 2, tzinfo=UTC)
YES, NO, BACK, ABSTAIN = Decision.APPROVE, Decision.REJECT, Decision.RETURN, Decision.ABSTAIN
NAMES = ("ada", "ben", "cai", "dan", "eva", "top")
PEOPLE = {name: Colleague(name, superior="top" if name != "top" else None) for name in NAMES}


def asking(mode: Any, *people: str, staff: dict[str, Colleague] | None = None, **changes: Any) -> Rehearsal:
    node = gm_approval(mode=mode, assignees=[{"user": name} for name in people], **changes)
    return Rehearsal.opened(node, PEOPLE | (staff or {}), START, Case("sue", frozenset({"sue"})))


def asked(played: Rehearsal) -> list[str]:
    return [one.person for one in played.signers.asked]


def states(played: Rehearsal) -> dict[str, str]:
    return {one.person: one.state for one in played.signers.listed}


def test_sequence_asks_one_after_the_other_in_the_order_of_the_flow() -> None:
    played = asking("sequence", "cai", "ada", "ben")
    assert states(played) == {"cai": "asked", "ada": "waiting", "ben": "waiting"}
    for person, following in (("cai", ["ada"]), ("ada", ["ben"])):
        assert played.say("ben" if person == "cai" else "cai", YES, START) is not Outcome.EFFECTIVE
        assert played.say(person, YES, START) is Outcome.EFFECTIVE
        assert (played.state, asked(played)) == (ApprovalState.OPEN, following)
    played.say("ben", YES, START)
    assert played.state is ApprovalState.APPROVED


def test_whoever_says_no_in_a_sequence_ends_it_and_the_rest_is_not_asked() -> None:
    played = asking("sequence", "cai", "ada")
    played.say("cai", NO, START)
    assert (played.state, states(played)["ada"]) == (ApprovalState.REJECTED, "waiting")


def test_clock_of_the_next_one_starts_when_the_former_has_agreed() -> None:
    played = asking("sequence", "cai", "ada", timeout="PT30M", remind=["PT10M"])
    at = START + timedelta(minutes=25)
    played.reminded = 1
    played.say("cai", YES, at)
    assert (played.level, played.clock, played.reminded) == (0, 1, 0)
    assert played.times.deadline == at + timedelta(minutes=30)
    assert played.times.reminders == (at + timedelta(minutes=10),)


def test_clock_goes_on_while_others_of_the_level_are_awaited_still() -> None:
    played = asking("all", "ada", "ben")
    played.say("ada", YES, START + timedelta(minutes=25))
    assert (played.clock, played.times.deadline) == (0, START + timedelta(minutes=30))


def test_superior_of_the_one_who_is_silent_is_asked_next() -> None:
    played = asking("sequence", "cai", "ada", staff={"ada": Colleague("ada", superior="eva")})
    played.say("cai", YES, START)
    played.escalate(START)
    assert (played.level, played.clock, asked(played)) == (1, 0, ["ada", "eva"])
    # The superior's word is that of a whole level.
    played.say("eva", YES, START)
    assert played.state is ApprovalState.APPROVED


def test_absence_is_looked_at_when_the_turn_comes_and_goes_one_hop() -> None:
    away = {"ada": Colleague("ada", delegate="eva"), "eva": Colleague("eva", delegate="dan")}
    played = asking("sequence", "cai", "ada", staff=away)
    assert states(played) == {"cai": "asked", "ada": "waiting"}
    played.say("cai", YES, START)
    [one] = played.signers.asked
    assert (one.person, one.on_behalf_of) == ("eva", "ada")
    assert played.say("ada", YES, START) is Outcome.NOT_ASSIGNEE


def test_delegate_who_signs_in_their_own_right_signs_once() -> None:
    played = asking("sequence", "ada", "ben", staff={"ada": Colleague("ada", delegate="ben")})
    assert states(played) == {"ada": "excused", "ben": "asked"}
    played.say("ben", YES, START)
    assert played.state is ApprovalState.APPROVED


def test_whose_order_it_is_signs_in_no_sequence_and_no_vote() -> None:
    for mode in ("sequence", {"vote": 2}):
        staff = {"sue": Colleague("sue", superior="eva")}
        assert asked(asking(mode, "sue", staff=staff)) == ["eva"]


@pytest.mark.parametrize(
    ("wanted", "words", "state"),
    [
        (2, "yy", "approved"),
        (2, "nyy", "approved"),
        (2, "ynn", "rejected"),
        (2, "a", "open"),
        (2, "an", "rejected"),
        (2, "aa", "rejected"),
        (3, "n", "rejected"),
        # Fewer are there than were wanted: all of them.
        (9, "yyy", "approved"),
        (0.5, "yy", "approved"),
        (0.5, "nn", "rejected"),
        # Abstentions shrink the count; a tie and a vote that nobody has cast are rejections.
        (0.5, "ay", "open"),
        (0.5, "aay", "approved"),
        (0.5, "ayn", "rejected"),
        (0.5, "aaa", "rejected"),
        (0.66, "yy", "approved"),
        (0.67, "yy", "open"),
        (0.67, "yyn", "rejected"),
    ],
)
def test_vote_ends_as_soon_as_its_outcome_cannot_change(wanted: float, words: str, state: str) -> None:
    played = asking({"vote": wanted}, "ada", "ben", "cai")
    for person, word in zip(("ada", "ben", "cai"), words, strict=False):
        assert played.say(person, {"y": YES, "n": NO, "a": ABSTAIN}[word], START) is Outcome.EFFECTIVE
    assert played.state.value == state


def test_tie_of_four_is_a_rejection() -> None:
    played = asking({"vote": 0.5}, "ada", "ben", "cai", "dan")
    for person, word in (("ada", YES), ("ben", YES), ("cai", NO)):
        played.say(person, word, START)
    assert played.is_open
    played.say("dan", NO, START)
    assert played.state is ApprovalState.REJECTED


def test_vote_of_a_level_is_its_own() -> None:
    played = asking({"vote": 2}, "ada", "ben", "cai")
    played.say("ada", YES, START)
    played.escalate(START)
    assert asked(played) == ["ben", "cai", "top"]
    played.say("top", YES, START)
    assert played.state is ApprovalState.APPROVED


@pytest.mark.parametrize("mode", ["all", "sequence", {"vote": 2}, {"vote": 0.5}])
def test_what_was_said_on_a_level_that_was_given_up_decides_nothing(mode: Any) -> None:
    """Who was silent is dropped; that leaves those who have agreed, and is no agreement."""
    next_one = {"to": [{"user": "dan"}, {"user": "eva"}], "keep_previous": False}
    played = asking(mode, "ada", "ben", escalate=[next_one])
    played.say("ada", YES, START)
    played.escalate(START)
    assert (played.state, states(played)["ben"]) == (ApprovalState.OPEN, "dropped")
    played.say("dan", YES, START)
    assert (played.state, asked(played)) == (ApprovalState.OPEN, ["eva"])
    played.say("eva", YES, START)
    assert played.state is ApprovalState.APPROVED


def test_one_who_votes_may_send_it_back_where_that_is_offered() -> None:
    ways = {"approved": "a", "rejected": "b", "returned": "c"}
    played = asking({"vote": 2}, "ada", "ben", "cai", outcomes=ways)
    assert played.say("ada", BACK, START) is Outcome.EFFECTIVE
    assert played.state is ApprovalState.RETURNED
    assert asking({"vote": 2}, "ada", "ben").say("ada", BACK, START) is Outcome.NOT_ASSIGNEE


@pytest.mark.parametrize("mode", ["any", "all", "sequence"])
def test_only_voters_abstain(mode: str) -> None:
    assert asking(mode, "ada", "ben").say("ada", ABSTAIN, START) is Outcome.NOT_ASSIGNEE


@pytest.mark.parametrize("mode", ["any", "all", "sequence", {"vote": 1}])
def test_who_is_added_before_signs_first_and_both_have_to_agree(mode: Any) -> None:
    played = asking(mode, "ada")
    at = START + timedelta(minutes=20)
    played.add("ada", Joining("eva", Where.BEFORE), at)
    assert states(played) == {"eva": "asked", "ada": "waiting"}
    assert played.times.deadline == at + timedelta(minutes=30)
    assert played.say("ada", YES, at) is Outcome.NOT_ASSIGNEE
    played.say("eva", YES, at)
    assert (played.state, asked(played)) == (ApprovalState.OPEN, ["ada"])
    played.say("ada", YES, at)
    assert played.state is ApprovalState.APPROVED


@pytest.mark.parametrize("mode", ["any", "all", "sequence", {"vote": 1}])
@pytest.mark.parametrize("word", [YES, NO])
def test_who_is_added_after_has_the_last_word(mode: Any, word: Decision) -> None:
    played = asking(mode, "ada")
    played.add("ada", Joining("eva", Where.AFTER), START)
    played.say("ada", YES, START)
    assert (played.state, asked(played)) == (ApprovalState.OPEN, ["eva"])
    played.say("eva", word, START)
    assert played.state is (ApprovalState.APPROVED if word is YES else ApprovalState.REJECTED)


@pytest.mark.parametrize(
    ("mode", "state"), [("any", "approved"), ("all", "open"), ("sequence", "open"), ({"vote": 2}, "open")]
)
def test_who_is_added_beside_has_a_word_by_the_rule_of_the_node(mode: Any, state: str) -> None:
    played = asking(mode, "ada")
    played.add("ada", Joining("eva", Where.BESIDE), START)
    assert asked(played) == ["ada", "eva"]
    played.say("eva", YES, START)
    assert played.state.value == state
    played.say("ada", YES, START)
    assert played.state is ApprovalState.APPROVED


def test_who_is_added_in_a_sequence_signs_before_the_next_one() -> None:
    played = asking("sequence", "ada", "ben")
    played.add("ada", Joining("eva", Where.AFTER), START)
    for person in ("ada", "eva", "ben"):
        assert asked(played) == [person]
        played.say(person, YES, START)
    assert played.state is ApprovalState.APPROVED


def test_supervisor_adds_before_whoever_is_meant() -> None:
    played = asking("sequence", "ada", "ben")
    played.add("ops", Joining("eva", Where.BEFORE, "ben"), START)
    played.say("ada", YES, START)
    assert asked(played) == ["eva"]


@pytest.mark.parametrize(
    ("by", "joins", "refused"),
    [
        ("ada", Joining("sue", Where.AFTER), CannotBeAsked),
        ("ada", Joining("nobody", Where.AFTER), CannotBeAsked),
        ("ada", Joining("ben", Where.AFTER), CannotBeAsked),
        ("ada", Joining("eva", Where.AFTER, "ben"), NotAssignee),
        ("cai", Joining("eva", Where.AFTER), NotAssignee),
        ("dan", Joining("eva", Where.AFTER), NotAssignee),
    ],
)
def test_only_who_is_to_decide_adds_and_nobody_whose_order_it_is(
    by: str, joins: Joining, refused: type[DomainError]
) -> None:
    signers = asking("all", "ada", "ben", "cai").signers.said("cai", YES)
    with pytest.raises(refused):
        signers.joined(by, joins, 0, keeps=False)
    assert not issubclass(refused, AlreadyDecided)


def test_supervisor_says_whom_the_new_one_stands_before() -> None:
    signers = asking("all", "ada").signers
    for joins in (Joining("eva", Where.BEFORE), Joining("eva", Where.BESIDE, "dan")):
        with pytest.raises(NotASigner):
            signers.joined("ops", joins, 0, keeps=True)


def test_added_people_have_an_end() -> None:
    crowd = {f"p{n}": Colleague(f"p{n}") for n in range(MAX_ADDED + 1)}
    signers = asking("all", "ada", staff=crowd).signers
    for name in list(crowd)[:MAX_ADDED]:
        signers = signers.joined("ada", Joining(name, Where.BESIDE), 0, keeps=False)
    with pytest.raises(TooManySigners):
        signers.joined("ada", Joining(f"p{MAX_ADDED}", Where.BESIDE), 0, keeps=False)


def test_only_who_was_added_and_is_silent_is_taken_off_by_who_added_them() -> None:
    signers = asking("all", "ada", "ben").signers.joined("ada", Joining("eva", Where.BESIDE), 0, keeps=False)
    for by, person, refused in (("ada", "ben", NotASigner), ("ben", "eva", NotAssignee), ("ada", "dan", NotASigner)):
        with pytest.raises(refused):
            signers.removed(by, person, keeps=False)
    with pytest.raises(NotASigner):
        signers.said("eva", YES).removed("ada", "eva", keeps=False)
    left = signers.removed("ops", "eva", keeps=True)
    with pytest.raises(CannotBeAsked):
        left.joined("ada", Joining("eva", Where.BESIDE), 0, keeps=False)


def test_taking_off_the_last_silent_one_decides() -> None:
    played = asking("all", "ada", "ben")
    played.add("ada", Joining("eva", Where.AFTER), START)
    for person in ("ada", "ben"):
        played.say(person, YES, START)
    assert asked(played) == ["eva"]
    played.remove("ada", "eva", START)
    assert played.state is ApprovalState.APPROVED


def test_who_was_taken_off_gives_the_turn_back() -> None:
    played = asking("any", "ada")
    played.add("ada", Joining("eva", Where.BEFORE), START)
    played.remove("ada", "eva", START)
    assert states(played) == {"eva": "removed", "ada": "asked"}


def test_added_person_who_is_away_signs_through_the_delegate() -> None:
    played = asking("any", "ada", staff={"eva": Colleague("eva", delegate="dan")})
    played.add("ada", Joining("eva", Where.AFTER), START)
    played.say("ada", YES, START)
    assert [(one.person, one.on_behalf_of, one.added_by) for one in played.signers.asked] == [("dan", "eva", "ada")]


def test_heir_of_a_decision_has_its_place() -> None:
    signers = asking("sequence", "ada", "ben").signers.handed_on("ada", "eva", 0, keeps=False)
    after = signers.said("eva", YES)
    assert [one.person for one in after.asked] == ["ben"]
    assert after.state is None


def test_what_others_of_a_seat_would_say_is_not_asked_once_one_has_spoken_against_it() -> None:
    played = asking({"vote": 2}, "ada", "ben", "cai")
    played.add("ada", Joining("eva", Where.AFTER), START)
    played.say("ada", ABSTAIN, START)
    assert (states(played)["eva"], asked(played)) == ("excused", ["ben", "cai"])
    mode = played.node.mode
    assert isinstance(mode, Vote)
    found = tally(mode, played.signers.listed, 0)
    assert (found.needed, found.agreed, found.rejected, found.abstained, found.silent) == (2, 0, 0, 1, 2)
