"""Every template passes its own stories, as the real workflow runs them and as they are followed on paper."""

import pytest

from domain.flow.checks import check_flow
from domain.flow.script import Script
from domain.flow.simulate import simulate
from flows.templates import Template, scripts_of, templates
from sandbox.run import try_all

STORIES = [(template, script) for template in templates() for script in template.scripts]
NAMES = [f"{template.name}: {script.name}" for template, script in STORIES]


def test_there_is_a_template_for_every_kind_of_trade() -> None:
    assert {template.name for template in templates()} >= {
        "normal",
        "presale",
        "sample",
        "big_customer",
        "cash_on_delivery",
        "on_credit",
    }
    assert all(check_flow(template.flow) == () for template in templates())
    assert all(template.description.keys() == {"zh", "en"} for template in templates())
    assert scripts_of("of_somebody") == (Script(),)


@pytest.mark.parametrize(("template", "script"), STORIES, ids=NAMES)
async def test_story_of_a_template_in_the_sandbox(template: Template, script: Script) -> None:
    [tried] = await try_all(template.flow, [script])
    assert (tried.unmet, tried.error, tried.passed) == ((), None, True)


@pytest.mark.parametrize(("template", "script"), STORIES, ids=NAMES)
def test_story_of_a_template_on_paper(template: Template, script: Script) -> None:
    trial = simulate(template.flow, {}, script)
    assert script.unmet(trial.result, trial.path) == []
