import pytest
import yaml

from domain.flow.document import load_yaml, read_yaml
from domain.flow.problems import FlowRefused
from tests.factories.flows import Document, sound_document

BILLION_LAUGHS = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"


def refusal(text: str) -> str:
    with pytest.raises(FlowRefused) as refused:
        read_yaml(text)
    assert [problem.code for problem in refused.value.problems] == ["document"]
    return refused.value.problems[0].detail


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        (BILLION_LAUGHS, "line 1: anchors and aliases are not allowed"),
        ("a: 1\n<<: {b: 2}", "line 2: a key should be a plain name"),
        ("? [a, b]\n: 1", "line 1: a key should be a plain name"),
        ("nodes:\n  on: x", "line 2: YAML reads the key 'on' as bool; put it in quotes"),
        ("title: {no: 1}", "line 1: YAML reads the key 'no' as bool; put it in quotes"),
        ("1: x", "line 1: YAML reads the key '1' as int; put it in quotes"),
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' is there twice"),
        ("a: 1\n'a': 2", "line 2: the key 'a' is there twice"),
        ("a: 1\n---\nb: 2", "line 2: but found another document"),
        ("a: {b: 1", "line 2: did not find expected ',' or '}'"),
        ("[" * 100_000, "line 1: nested deeper than 20 levels"),
        ("{a: " * 30, "line 1: nested deeper than 20 levels"),
        ("a: " + "x" * 300_000, "larger than 256 KB"),
        ("a: 单" + "单" * 90_000, "larger than 256 KB"),
        ("a: \x00", "not readable as YAML"),
        ("a: '\ud800'", "not readable as YAML"),
        ("a: " + "9" * 10_000, "not readable as YAML"),
        ("a: 2026-99-99", "not readable as YAML"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_hostile_or_ambiguous_text_is_refused_with_its_line(text: str, detail: str) -> None:
    assert refusal(text) == detail


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system ['true']", "!!python/name:os.system", "!mine x"])
def test_a_tag_builds_no_object(tag: str) -> None:
    assert "could not determine a constructor" in refusal(f"a: {tag}")


def form_problems(document: Document) -> list[tuple[str, str]]:
    with pytest.raises(FlowRefused) as refused:
        load_yaml(yaml.safe_dump(document, allow_unicode=True))
    assert {problem.code for problem in refused.value.problems} == {"schema"}
    return [(problem.node, problem.detail) for problem in refused.value.problems]


def with_node(**fields: object) -> Document:
    return sound_document(odd=fields)


WAIT = {"kind": "wait", "event": "payment.full", "next": "ship", "on_timeout": "undo"}


@pytest.mark.parametrize(
    ("document", "detail"),
    [
        (with_node(kind="branch", cases=[{"label": "a", "when": "true", "next": "pay"}]), "default: Field required"),
        (with_node(kind="wait", event="payment.full", timeout="PT1H", next="ship"), "on_timeout: Field required"),
        (with_node(**WAIT), "should have either timeout or timeout_at"),
        (with_node(**WAIT, timeout="PT1H", timeout_at="order.placed_at"), "should have either timeout or timeout_at"),
        (with_node(**WAIT, timeout="PT1H", remind=["PT1H"]), "every reminder should lie within the timeout"),
        (with_node(**WAIT, timeout="PT1H", remind=["-PT2H"]), "every reminder should lie within the timeout"),
        (with_node(kind="timer", next="pay"), "should have either duration or until"),
        (
            with_node(kind="exception", choices=["jump"]),
            "targets belong to the choice jump, and it needs at least one",
        ),
        (
            with_node(kind="exception", choices=["retry"], targets=["pay"]),
            "targets belong to the choice jump, and it needs at least one",
        ),
        (
            with_node(kind="branch", cases=[{"label": "default", "when": "true", "next": "pay"}], default="pay"),
            "labels of cases should differ from each other and from 'default'",
        ),
        (with_node(kind="compensate", next="expired", colour="red"), "colour: Extra inputs are not permitted"),
        (with_node(kind="compensate", next="expired", max_visits="3"), "max_visits: Input should be a valid integer"),
        (
            with_node(kind="action", action="order.check", next="pay", skippable="yes"),
            "skippable: Input should be a valid boolean",
        ),
    ],
)
def test_a_malformed_node_is_named_with_its_field(document: Document, detail: str) -> None:
    assert form_problems(document) == [("odd", detail)]


@pytest.mark.parametrize(
    "duration",
    [
        "",
        "P",
        "PT",
        "1h",
        "60",
        "P1Y",
        "P1M",
        "PT1.5S",
        "P1DT",
        "PT0S",
        "-PT1H",
        "P401D",
        "P99999999D",
        "PT٣H",
        60,
        1.5,
        True,
    ],
)
def test_a_duration_that_is_not_exact_and_positive_is_refused(duration: object) -> None:
    document = with_node(kind="timer", duration=duration, next="pay")
    assert [node for node, _ in form_problems(document)] == ["odd"]


@pytest.mark.parametrize("kind", ["approvals", "", 7, None])
def test_a_kind_outside_the_closed_set_is_refused(kind: object) -> None:
    assert [node for node, _ in form_problems(with_node(kind=kind, next="pay"))] == ["odd"]


@pytest.mark.parametrize("node_id", ["Pay", "pay me", "9pay", "", "支付", "a" * 65])
def test_a_node_id_is_a_short_lower_case_name(node_id: str) -> None:
    document = sound_document()
    document["nodes"][node_id] = {"kind": "end", "result": "cancelled"}
    assert [node for node, _ in form_problems(document)] == [node_id[:64]]


def test_all_faults_of_form_are_reported_at_once() -> None:
    document = sound_document() | {"version": 0, "schema": "orderflow/2", "surprise": 1}
    document["nodes"]["pay"]["timeout"] = "soon"
    del document["nodes"]["ship"]["next"]
    nodes = [node for node, _ in form_problems(document)]
    assert sorted(nodes) == ["", "", "", "pay", "ship"]


def test_a_flow_has_at_most_five_hundred_nodes() -> None:
    many = {f"n{number}": {"kind": "end", "result": "cancelled"} for number in range(501)}
    assert len(form_problems(sound_document() | {"nodes": many})) == 1
