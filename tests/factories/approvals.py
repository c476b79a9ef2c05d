"""Approval nodes for tests."""

from typing import Any

from domain.flow.approval_node import ApprovalNode


def gm_approval(**changes: Any) -> ApprovalNode:
    """A general manager, then the superior, then the CEO; half an hour each unless changed."""
    content = {
        "kind": "approval",
        "assignees": [{"role": "gm"}],
        "remind": ["PT15M", "PT25M"],
        "escalate": [
            {"to": [{"superior_of": "assignee"}], "keep_previous": True},
            {"to": [{"role": "ceo"}], "timeout": "PT1H"},
        ],
        "outcomes": {"approved": "reserve", "rejected": "undo"},
    }
    return ApprovalNode.model_validate(content | changes)
