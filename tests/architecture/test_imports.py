"""Who may import whom. The contracts themselves are in pyproject.toml; here they are run and shown to bite."""

import subprocess
import sysconfig
import tomllib
from pathlib import Path

import pytest

from tests.architecture.source_tree import PACKAGES, ROOT, sources

_LINT = Path(sysconfig.get_path("scripts")) / "lint-imports"
_CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]


def test_every_import_contract_is_kept() -> None:
    done = subprocess.run(
        [_LINT, "--no-cache", "--no-logo"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("domain/rule.py", "import sqlalchemy"),
        ("store/rule.py", "import api"),
        ("workflows/rule.py", "import store"),
        ("activities/rule.py", "import integrations.carrier.simulated"),
    ],
)
def test_a_forbidden_import_is_noticed(tmp_path: Path, module: str, statement: str) -> None:
    for layer in _CONTRACTS["root_packages"]:
        (tmp_path / layer).mkdir()
        (tmp_path / layer / "__init__.py").touch()
    for contract in _CONTRACTS["contracts"]:
        for dotted in contract.get("forbidden_modules", []):
            if dotted.partition(".")[0] in _CONTRACTS["root_packages"]:
                _make(tmp_path, dotted)
    (tmp_path / module).write_text(f"{statement}\n")
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    done = subprocess.run([_LINT, "--no-cache"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert f"{module.replace('/', '.').removesuffix('.py')} " in done.stdout


def test_every_layer_of_the_project_is_under_contract() -> None:
    # Flow files and migrations are data with a loader: nothing of ours may need them but what brings a system up.
    assert set(PACKAGES) - set(_CONTRACTS["root_packages"]) == {"flows", "migrations"}


def test_only_wiring_and_tests_name_an_adapter() -> None:
    adapters = (".over_http", ".simulated", ".autopilot")
    naming = {
        source.path
        for source in sources(
            "activities", "api", "cli", "console", "domain", "models", "runtime", "store", "workers", "workflows"
        )
        if any(f"{adapter} import" in source.text for adapter in adapters)
    }
    assert naming == {"workers/wiring.py"}


def _make(root: Path, dotted: str) -> None:
    *folders, name = dotted.split(".")
    at = root
    for folder in folders:
        at = at / folder
        at.mkdir(exist_ok=True)
        (at / "__init__.py").touch()
    if folders:
        (at / f"{name}.py").touch()
