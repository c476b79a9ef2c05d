"""The rules as files: Prometheus takes them, each has its test, and each its page of instructions."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from store.figures import FIGURES
from tests.fakes.prometheus import RULES, promtool

ROOT = Path(__file__).parents[2]
GROUPS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}


def _run(*arguments: str) -> None:
    done = subprocess.run([promtool(), *arguments], cwd=RULES.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_rules_and_configuration() -> None:
    _run("check", "rules", RULES.name)
    _run("check", "config", "prometheus.yml")


def test_every_rule_fires_when_it_should_and_not_before() -> None:
    suite = yaml.safe_load((RULES.parent / "alerts_test.yml").read_text())
    tested = {check["alertname"] for test in suite["tests"] for check in test["alert_rule_test"] if check["exp_alerts"]}
    assert tested == set(ALERTS)
    _run("test", "rules", "alerts_test.yml")


def test_every_alert_says_where_to_read_on() -> None:
    runbook = ROOT / "docs/runbooks/alerts.md"
    told = re.findall(r"^## (\w+)$", runbook.read_text(), re.MULTILINE)
    assert sorted(told) == sorted(ALERTS)
    for name, rule in ALERTS.items():
        assert rule["annotations"]["runbook"] == f"docs/runbooks/alerts.md#{name.lower()}"
        assert rule["labels"]["severity"] in {"critical", "warning"}


def test_rules_and_dashboard_ask_for_figures_that_exist() -> None:
    known = {figure.name for figure in FIGURES} | {
        "orderflow_part_up",
        "orderflow_queue_workers",
        "orderflow_queue_backlog",
        "orderflow_queue_backlog_seconds",
    }
    dashboard = (ROOT / "deploy/grafana/orderflow.json").read_text()
    asked = set(re.findall(r"orderflow_\w+", RULES.read_text() + dashboard))
    assert asked - known == set()
    assert known - set(re.findall(r"orderflow_\w+", dashboard)) == set(), "every figure is on the dashboard"


def test_every_query_of_the_dashboard_is_one(tmp_path: Path) -> None:
    dashboard = json.loads((ROOT / "deploy/grafana/orderflow.json").read_text())
    shown = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    queries = [target["expr"] for panel in shown for target in panel["targets"]]
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(queries)]
    file = tmp_path / "dashboard.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    _run("check", "rules", str(file))
