"""What is shipped: every folder of code, with its data files, and nothing that is for developers only."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.architecture.source_tree import PACKAGES, ROOT

_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
_UV = os.environ.get("UV") or shutil.which("uv")
_PASSING = {"__pycache__", ".mypy_cache", ".ruff_cache"}


def test_the_wheel_takes_every_folder_of_code() -> None:
    wheel = _PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert sorted(wheel["packages"]) == list(PACKAGES)


def test_import_sorting_knows_every_folder_of_code() -> None:
    known = _PROJECT["tool"]["ruff"]["lint"]["isort"]["known-first-party"]
    assert sorted(known) == sorted([*PACKAGES, "tests"])


def test_tests_are_no_package() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if _UV is None:
        pytest.skip("uv is not on PATH, so no wheel can be built")
    folder = tmp_path_factory.mktemp("wheel")
    build = [_UV, "build", "--wheel", "--no-progress", "--out-dir", str(folder), str(ROOT)]
    # What builds it was fetched when the project was installed; without that cache it is fetched now.
    done = subprocess.run([*build, "--offline"], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        done = subprocess.run(build, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_every_file_of_every_package_and_no_other(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        held = {name for name in packed.namelist() if ".dist-info/" not in name}
    assert held == set(_files())
    assert {
        "flows/normal.yaml",
        "api/shipping/note.typ",
        "console/templates/layout.html",
        "console/words.json",
        "migrations/script.py.mako",
    } <= held


def test_the_wheel_works_where_there_is_no_source(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path)
    script = "import flows; print(flows.__file__, [flow.key for flow in flows.builtin_flows()])"
    flows = _python("-c", script, home=tmp_path)
    assert flows.stdout.startswith(f"{tmp_path}/flows/__init__.py ['cash_on_delivery', 'cross_border'"), flows.stderr
    shown = _python("-m", "cli.main", "--help", home=tmp_path)
    assert shown.returncode == 0, shown.stderr


def _files() -> list[str]:
    found = (file for package in PACKAGES for file in (ROOT / package).rglob("*") if file.is_file())
    return [file.relative_to(ROOT).as_posix() for file in found if not _PASSING & set(file.parts)]


def _python(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(home)}
    command = [sys.executable, "-P", *arguments]
    return subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=60, check=False)
