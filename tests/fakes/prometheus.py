"""Our alert rules, judged by Prometheus' own tool on what a real `/metrics` says."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

RULES = Path(__file__).parents[2] / "deploy/prometheus/alerts.yml"
# Longer than any rule waits.
_HOURS = 2
_COUNTERS = ("temporal_workflow_task_execution_failed",)


def promtool() -> str:
    """The path of the tool. Skips the test where there is none."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not here: `apt-get install prometheus` has it")
    return found


def assert_firing(folder: Path, expected: set[str], *scrapes: str) -> None:
    """These alerts and no others fire once the figures of the scrapes have stood for two hours."""
    series = []
    for line in "\n".join(scrapes).splitlines():
        if line.startswith(("orderflow_", "temporal_")):
            name, _, value = line.rpartition(" ")
            # A counter has grown to what it is; a gauge has always been so.
            before = "0" if name.startswith(_COUNTERS) else value
            series.append({"series": name, "values": f"{float(before):g} {float(value):g}x{_HOURS * 60}"})
    series.append({"series": 'up{job="orderflow-api"}', "values": f"1x{_HOURS * 60}"})
    # Just after the counters grew, and after the longest wait.
    firing = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(expected)]
    question = {
        "expr": f'group by (alertname) (max_over_time(ALERTS{{alertstate="firing"}}[{_HOURS}h]))',
        "eval_time": f"{_HOURS}h",
        "exp_samples": firing,
    }
    suite = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": [question]}],
    }
    file = folder / "suite.yml"
    file.write_text(yaml.safe_dump(suite))
    done = subprocess.run([promtool(), "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
