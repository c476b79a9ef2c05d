"""Ready flows to begin with."""

from typing import Any, Self

from fastapi import APIRouter
from pydantic import BaseModel

from api.flows.documents import as_yaml
from api.flows.reading import Reader
from api.flows.schemas import FlowKey, TitleView, plain
from domain.flow.script import Script
from flows.templates import Template, templates
from store.flows import FlowNotFound

router = APIRouter(tags=["flows"])


class TemplateSummary(BaseModel):
    """A ready flow: what it is for, and the stories that show it."""

    name: str
    key: str
    title: TitleView
    description: TitleView
    sandbox: list[Script]

    @classmethod
    def of(cls, template: Template) -> Self:
        title, said = template.flow.title, template.description
        return cls(
            name=template.name,
            key=template.flow.key,
            title=TitleView(zh=title.zh, en=title.en),
            description=TitleView(zh=said["zh"], en=said["en"]),
            sandbox=list(template.scripts),
        )


class TemplateList(BaseModel):
    """All templates; there is no further page."""

    data: list[TemplateSummary]
    next_cursor: str | None


class TemplateView(TemplateSummary):
    definition: dict[str, Any]
    yaml: str


@router.get("/v1/flow-templates", summary="Ready flows")
async def list_flow_templates(_caller: Reader) -> TemplateList:
    return TemplateList(data=[TemplateSummary.of(one) for one in templates()], next_cursor=None)


@router.get("/v1/flow-templates/{name}", summary="One ready flow")
async def get_flow_template(name: FlowKey, _caller: Reader) -> TemplateView:
    found = next((one for one in templates() if one.name == name), None)
    if found is None:
        raise FlowNotFound(name=name)
    definition = plain(found.flow)
    return TemplateView(**TemplateSummary.of(found).model_dump(), definition=definition, yaml=as_yaml(definition))
