"""Whatever the people and whatever they say: one decision, and never about an order of one's own."""

from datetime import UTC, datetime
from itertools import product
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from domain.approval import ApprovalState, Case, Colleague, Decision, Outcome, first_round, next_round
from domain.rehearsal import Rehearsal
from tests.factories.approvals import gm_approval

START = datetime(2026, 11, 23, 2, tzinfo=UTC)
NAMES = ("ada", "ben", "cai", "dan", "eva")
PEOPLE = st.builds(
    lambda roles, superiors, delegates: {
        name: Colleague(name, frozenset(roles[at]), superiors[at], delegates[at]) for at, name in enumerate(NAMES)
    },
    st.lists(st.sets(st.sampled_from(["gm", "ceo", "operations"])), min_size=5, max_size=5),
    st.lists(st.none() | st.sampled_from(NAMES), min_size=5, max_size=5),
    st.lists(st.none() | st.sampled_from([*NAMES, "gone"]), min_size=5, max_size=5),
)
WORDS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(list(Decision))), max_size=12)


@given(PEOPLE, st.sets(st.sampled_from(NAMES), min_size=1), st.sampled_from(["superior", "skip"]))
def test_nobody_with_an_interest_is_ever_asked_and_levels_end(
    people: dict[str, Colleague], interested: set[str], way: str
) -> None:
    node, case = gm_approval(same_as_submitter=way), Case(min(interested), frozenset(interested))
    found, rounds = first_round(node, people, case), 1
    asked = list(found.asked)
    while (following := next_round(node, found.level, found.asked, people, case)) is not None:
        assert following.level > found.level
        assert following.asked
        found, rounds = following, rounds + 1
        asked += following.asked
    assert rounds <= 3
    assert all(one.person in people and one.person not in interested for one in asked)
    assert all(one.on_behalf_of not in interested for one in asked)


@given(st.sampled_from(["any", "all", "sequence"]), st.sets(st.sampled_from(NAMES), min_size=1), WORDS, st.booleans())
def test_at_most_one_word_decides_and_all_after_it_are_superseded(
    mode: str, asked: set[str], words: list[tuple[str, Decision]], returns: bool
) -> None:
    ways = {"approved": "a", "rejected": "b"} | ({"returned": "c"} if returns else {})
    node = gm_approval(mode=mode, assignees=[{"user": name} for name in sorted(asked)], outcomes=ways)
    played, decisive = Rehearsal.opened(node, {name: Colleague(name) for name in NAMES}, START), 0
    for person, decision in words:
        before, awaited = played.state, {one.person for one in played.signers.asked}
        outcome = played.say(person, decision, START)
        if before is not ApprovalState.OPEN:
            assert (outcome, played.state) == (Outcome.SUPERSEDED, before)
        elif outcome is Outcome.EFFECTIVE:
            assert person in awaited
            decisive += not played.is_open
    assert decisive == (not played.is_open)
    if played.state is ApprovalState.APPROVED:
        assert mode == "any" or {one.state for one in played.signers.listed} == {"approved"}
    if mode == "sequence" and played.is_open:
        assert [one.person for one in played.signers.asked] == [
            min(one.person for one in played.signers.listed if one.state in ("asked", "waiting"))
        ]


VOTES = st.lists(st.sampled_from([Decision.APPROVE, Decision.REJECT, Decision.ABSTAIN]), min_size=1, max_size=5)
SHARES = st.one_of(st.integers(1, 7), st.sampled_from([0.5, 0.51, 0.6, 0.66, 0.75, 0.99]))


@given(SHARES, VOTES, st.randoms())
def test_vote_ends_as_it_would_if_all_had_spoken_and_not_before_that_is_certain(
    wanted: float, votes: list[Decision], chance: Random
) -> None:
    names = NAMES[: len(votes)]
    node = gm_approval(mode={"vote": wanted}, assignees=[{"user": name} for name in names])
    said = list(zip(names, votes, strict=True))
    chance.shuffle(said)
    played = Rehearsal.opened(node, {name: Colleague(name) for name in names}, START)
    spoken = 0
    while played.is_open:
        person, decision = said[spoken]
        assert _possible(wanted, [one for _, one in said[:spoken]], len(said)) == {True, False}
        assert played.say(person, decision, START) is Outcome.EFFECTIVE
        spoken += 1
    assert _possible(wanted, [one for _, one in said[:spoken]], len(said)) == {played.state is ApprovalState.APPROVED}
    assert _passes(wanted, [one for _, one in said], len(said)) == (played.state is ApprovalState.APPROVED)


def _possible(wanted: float, said: list[Decision], voters: int) -> set[bool]:
    """Every way in which it could still end, found by trying all of them."""
    rest = product([Decision.APPROVE, Decision.REJECT, Decision.ABSTAIN], repeat=voters - len(said))
    return {_passes(wanted, [*said, *others], voters) for others in rest}


def _passes(wanted: float, said: list[Decision], voters: int) -> bool:
    """What a count of all votes comes to, as it is written in the documentation."""
    agreed, rejected = said.count(Decision.APPROVE), said.count(Decision.REJECT)
    if isinstance(wanted, int):
        return agreed >= min(wanted, voters)
    return agreed > rejected and agreed * 100 >= round(wanted * 100) * (agreed + rejected)
