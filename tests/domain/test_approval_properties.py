"""Whatever the people and whatever they say: one decision, and never about an order of one's own."""

from hypothesis import given
from hypothesis import strategies as st

from domain.approval import (
    STATE_OF,
    ApprovalState,
    Assignment,
    Case,
    Colleague,
    Decision,
    Outcome,
    Standing,
    first_round,
    judge,
    next_round,
)
from tests.factories.approvals import gm_approval

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


@given(st.sampled_from(["any", "all"]), st.sets(st.sampled_from(NAMES), min_size=1), WORDS, st.booleans())
def test_at_most_one_word_decides_and_all_after_it_are_superseded(
    mode: str, asked: set[str], words: list[tuple[str, Decision]], returns: bool
) -> None:
    states = dict.fromkeys(asked, "asked")
    state, decisive = ApprovalState.OPEN, 0
    for person, decision in words:
        listed = tuple(Assignment(0, name, one) for name, one in states.items())
        verdict = judge(Standing(state, mode, listed, returns), person, decision)
        if state is not ApprovalState.OPEN:
            assert verdict.outcome is Outcome.SUPERSEDED
            assert verdict.state is state
        elif verdict.outcome is Outcome.EFFECTIVE:
            assert states[person] == "asked"
            states[person] = STATE_OF[decision].value
            decisive += verdict.state is not ApprovalState.OPEN
        state = verdict.state
    assert decisive == (state is not ApprovalState.OPEN)
    if state is ApprovalState.APPROVED:
        assert mode == "any" or set(states.values()) == {"approved"}
