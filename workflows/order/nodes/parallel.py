"""Follow several branches at the same time, until all have come to the join or one takes the order elsewhere."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.flow.nodes import ExceptionNode
    from domain.flow.parallel import leaves
    from domain.flow.structure_nodes import ParallelNode

from workflows.order.course import LANE, Course
from workflows.order.nodes.end import Ended

Take = Callable[[Course], Awaitable[str | Ended]]
_OWN = frozenset({"at", "trouble", "story"})


class Fork(Course):
    """The same order at another node at the same time: all that is known of it is shared, but where it stands."""

    def __init__(self, course: Course, at: str) -> None:
        object.__setattr__(self, "_course", course)
        self.at, self.trouble, self.story = at, None, None

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_course"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        owner = self if name in _OWN else object.__getattribute__(self, "_course")
        object.__setattr__(owner, name, value)


async def run(course: Course, node: ParallelNode, take: Take) -> str:
    """The node after the join, or where a branch has taken the order; an exception lane waits for the other branches.

    What a lane was entered for is tried again by entering this node again: only branches that are not finished go on.
    """
    standing = course.branches.setdefault(course.at, {at: one.start for at, one in enumerate(node.branches)})
    forks = {number: Fork(course, at) for number, at in sorted(standing.items())}
    tasks = [asyncio.create_task(_follow(node, standing, number, fork, take)) for number, fork in forks.items()]
    try:
        await workflow.wait_condition(lambda: all(one.done() for one in tasks) or any(map(_is_away, forks.values())))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled() and (failure := task.exception()) is not None:
            raise failure
    return _following(course, node, list(forks.values()))


async def _follow(node: ParallelNode, standing: dict[int, str], number: int, fork: Fork, take: Take) -> None:
    """Afterwards the branch is at the join, and forgotten; or it stands where it leaves to."""
    fork.story = asyncio.current_task()
    while fork.at != node.next and not _leaves(fork, fork.at):
        standing[number] = fork.at
        following = await take(fork)
        if isinstance(following, Ended):
            raise RuntimeError("a branch cannot end an order")
        fork.at = following
    if fork.at == node.next:
        del standing[number]
    elif fork.trouble is not None and _is_lane(fork, fork.at):
        standing[number] = fork.trouble.node


def _following(course: Course, node: ParallelNode, forks: list[Fork]) -> str:
    left = [fork for fork in forks if fork.at != node.next and _leaves(fork, fork.at)]
    away = [fork for fork in left if _is_away(fork)]
    if not left or away:
        course.branches.pop(course.at, None)
        return away[0].at if away else node.next
    trouble = left[0].trouble
    course.trouble = None if trouble is None else replace(trouble, node=course.at)
    return left[0].at


def _is_away(fork: Fork) -> bool:
    """Whether the branch has taken the order along: to its undoing or its end."""
    return _leaves(fork, fork.at) and not _is_lane(fork, fork.at)


def _leaves(course: Course, at: str) -> bool:
    return at == LANE or leaves(course.flow.nodes.get(at))


def _is_lane(course: Course, at: str) -> bool:
    return at == LANE or isinstance(course.flow.nodes.get(at), ExceptionNode)
