"""`orderflow flow`, for those who keep flows in git: check a file, compare it with what is in force, publish it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.environment import DataOption, fail
from cli.local_stack.layout import DEFAULT_DATA_DIR, DataDir

if TYPE_CHECKING:
    import httpx

app = typer.Typer(help="Check, compare and publish flows that are kept as files.", no_args_is_help=True)

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A flow as YAML.")]
ApiOption = Annotated[str | None, typer.Option("--api", metavar="URL", help="The API; without it the local stack's.")]
TokenOption = Annotated[str | None, typer.Option("--token", help="API key of somebody who owns flows.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON list, for programs.")]
ChannelOption = Annotated[list[str] | None, typer.Option(help="For orders of this channel alone; may be repeated.")]
PercentOption = Annotated[int, typer.Option(min=1, max=100, help="For this many orders in a hundred.")]
TimeOption = Annotated[str | None, typer.Option(metavar="TIME", help="From then on, as 2026-12-01T00:00:00Z.")]
ReplaceOption = Annotated[bool, typer.Option("--replace-draft", help="Even if somebody is drawing the flow.")]
REFUSED = 3


@app.command()
def validate(
    file: FileArgument,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    calendar: Annotated[
        list[str] | None, typer.Option(help="The id of a working calendar that you have; may be repeated.")
    ] = None,
) -> None:
    """Name everything that is wrong with a flow, each on its node. Needs no server; flows that it calls are not there,
    nor are working calendars but `cn-default` and those that are named.

    Exit status: 0 nothing is wrong; 3 something is.
    """
    from domain.flow.checks import check_yaml
    from domain.working_calendar import BUILT_IN

    problems = check_yaml(_text(file), calendars={*BUILT_IN, *(calendar or ())})
    if as_json:
        shown = [{"node": one.node, "code": one.code, "message": one.detail} for one in problems]
        typer.echo(json.dumps(shown, ensure_ascii=False))
    else:
        for one in problems:
            typer.echo(f"{one.node or '(flow)'}: {one.code}: {one.detail}")
        typer.echo(f"{file.name}: {len(problems)} problems" if problems else f"{file.name}: nothing is wrong")
    raise typer.Exit(REFUSED if problems else 0)


@app.command()
def diff(
    file: FileArgument, api: ApiOption = None, token: TokenOption = None, data: DataOption = DEFAULT_DATA_DIR
) -> None:
    """Show what a file changes about the newest version of its flow, node by node.

    Exit status: 0 nothing; 3 something.
    """
    from domain.flow.diff import diff as difference

    document = _document(file)
    with _calling(api, token, data) as client:
        number = _newest(client, document["key"])
        before = _answer(client.get(f"/v1/flows/{document['key']}/versions/{number}"))["definition"] if number else {}
    found = difference(before, document)
    for field in found.head:
        typer.echo(f"~ {field.field}: {_short(field.before)} -> {_short(field.after)}")
    for node in found.nodes:
        typer.echo(f"{ {'added': '+', 'removed': '-', 'changed': '~'}[node.change] } {node.node}")
        for field in node.fields:
            typer.echo(f"    {field.field}: {_short(field.before)} -> {_short(field.after)}")
    if found.same:
        typer.echo(f"the same as version {number}")
    raise typer.Exit(0 if found.same else REFUSED)


@app.command()
def publish(
    file: FileArgument,
    reason: Annotated[str, typer.Option(help="Why; it is kept.")],
    api: ApiOption = None,
    token: TokenOption = None,
    data: DataOption = DEFAULT_DATA_DIR,
    channel: ChannelOption = None,
    percent: PercentOption = 100,
    starts_at: TimeOption = None,
    replace_draft: ReplaceOption = False,
) -> None:
    """Save a sound flow as the draft, run it in the sandbox, and publish it if it has passed. Safe to run again.

    Exit status: 0 it is published; 3 it has problems or has not passed.
    """
    document = _document(file)
    key = document["key"]
    terms = {"channels": channel or None, "percent": percent, "starts_at": starts_at}
    with _calling(api, token, data) as client:
        # Asked before anything is saved, with the flows that it calls: a file with faults replaces no draft.
        problems = _answer(client.post("/v1/flows:validate", json={"definition": document}))["problems"]
        if problems:
            for one in problems:
                typer.echo(f"{one['node'] or '(flow)'}: {one['code']}: {one['message']}", err=True)
            raise typer.Exit(REFUSED)
        draft = _drawn(client, key, document, replace=replace_draft)
        run = _answer(client.post(f"/v1/flows/{key}/draft/sandbox", json={}))
        for script in run["scripts"]:
            typer.echo(f"{'passed' if script['passed'] else 'FAILED'}: {script['name']} -> {script['result']}")
        if not run["passed"]:
            raise typer.Exit(REFUSED)
        wanted = {name: value for name, value in terms.items() if value is not None}
        said = {"sha256": draft["sha256"], "reason": reason} | wanted
        done = _answer(client.post(f"/v1/flows/{key}/publish", json=said))
    typer.echo(f"{key} version {done['version']} is published")


def _drawn(client: "httpx.Client", key: str, document: Mapping[str, Any], *, replace: bool) -> dict[str, Any]:
    """The draft with this content; what somebody is drawing is replaced only if that is wanted."""
    there = client.get(f"/v1/flows/{key}/draft")
    if there.status_code == 200 and not replace:
        known = there.json()
        if known["changed"] and known["definition"] != document:
            fail(f"{known['updated_by']} is drawing this flow; --replace-draft replaces what is drawn")
    condition = {"If-Match": there.headers["etag"]} if there.status_code == 200 else {"If-None-Match": "*"}
    return _answer(client.put(f"/v1/flows/{key}/draft", json={"definition": document}, headers=condition))


def _newest(client: "httpx.Client", key: str) -> int:
    there = client.get(f"/v1/flows/{key}")
    if there.status_code == 404:
        return 0
    versions = _answer(there)["versions"]
    return int(versions[0]["version"]) if versions else 0


@contextmanager
def _calling(api: str | None, token: str | None, data: Path) -> Iterator["httpx.Client"]:
    import httpx

    from cli.access import local_tokens

    if api is None:
        running = DataDir(data.absolute()).running()
        if running is None or "api" not in running:
            fail(f"no API: start the local stack on {data} with `orderflow dev`, or give --api and --token")
        api, token = running["api"], token or local_tokens(data)["admin"]
    if token is None:
        fail("--api needs --token")
    headers = {"Authorization": f"Bearer {token}"}
    try:
        # A sandbox run takes some seconds for each of its stories.
        with httpx.Client(base_url=api, headers=headers, timeout=300, trust_env=False) as client:
            yield client
    except httpx.TransportError as away:
        fail(f"the API cannot be reached: {away}")


def _answer(answer: "httpx.Response") -> dict[str, Any]:
    said = answer.json() if answer.content else {}
    if answer.is_error:
        named = [f"{one.get('pointer')}: {one['detail']}" for one in said.get("errors", ())]
        fail("\n".join([f"{said.get('detail', answer.status_code)} ({said.get('code', 'error')})", *named]))
    found: dict[str, Any] = said
    return found


def _document(file: Path) -> dict[str, Any]:
    """The flow as plain data, in its canonical spelling where its form is right."""
    from domain.flow.document import parse_definition, read_document
    from domain.flow.problems import FlowRefused

    try:
        document = read_document(_text(file))
    except FlowRefused as refused:
        fail("; ".join(one.detail for one in refused.problems))
    if not isinstance(document.get("key"), str):
        fail("the file says no key")
    try:
        return parse_definition(document).model_dump(mode="json", exclude_defaults=True)
    except FlowRefused:
        return document


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as unusable:
        fail(f"{file}: {unusable}")


def _short(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)[:200]
