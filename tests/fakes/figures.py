"""Figures that a test measured, shown to whoever runs it even when it passes."""

import sys

import pytest


def tell(capsys: pytest.CaptureFixture[str], figures: str) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\n  {figures}\n")
        sys.stdout.flush()
