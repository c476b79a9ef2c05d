"""What can be wrong with a flow, and the refusal that carries all of it at once."""

from dataclasses import asdict, dataclass

from domain.errors import DomainError


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One fault. ``node`` is the id of the node to mend, or empty when the fault is the flow's as a whole."""

    node: str
    code: str
    detail: str


class FlowRefused(DomainError):
    """The flow cannot be used; ``problems`` names every reason found, as does the fact of that name."""

    code = "flow_refused"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        detail = "; ".join(f"{p.node}: {p.detail}" if p.node else p.detail for p in problems[:5])
        super().__init__(detail, problems=[asdict(problem) for problem in problems])
        self.problems = problems
