"""The tables of the documentation say what the code says: names, shapes and defaults cannot drift apart."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import PydanticUndefined

from index.decision import VerdictReason
from index.records import Outcome
from stream.cli.main import COMMANDS, load
from stream.dead_letter_record import PREFIX, encode_dead_letter
from stream.decision_record import decode_decision
from stream.decision_view import DecisionRecord, ExplanationPart, ThresholdPart
from stream.events import Rejected
from stream.reasons import Reason, Stage
from stream.worker.settings import Settings
from stream.worker.topics import TopicNames, TopicSpec
from tests.metric_factories import families
from tests.stream_factories import raw

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
HOUR_MS = 3_600_000


def section(document: str, heading: str) -> str:
    """The text under a heading, up to the next one of its level."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"{document} has no section {heading!r}"
    return found[1]


def rows(document: str, heading: str, first: str) -> list[list[str]]:
    """The cells of every table of a section whose first column is called `first`, code marks taken off."""
    found: list[list[str]] = []
    inside = False
    for line in section(document, heading).splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        cells = [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells[0] == first:
            inside = True
        elif inside and not set(line) <= set("|-"):
            found.append(cells)
    assert found, f"{document} has no table of {first!r} under {heading!r}"
    return found


def code(cell: str) -> str:
    """What stands between a cell's code marks."""
    assert cell.startswith("`"), cell
    assert cell.endswith("`"), cell
    return cell.strip("`")


@pytest.mark.parametrize(
    ("heading", "codes"),
    [
        ("Reasons of dead letters and missing modalities", [*Reason]),
        ("Reasons of decisions", [*VerdictReason]),
    ],
)
def test_the_contract_lists_every_reason_code(heading: str, codes: list[str]) -> None:
    """None is unexplained, none is invented, and the order is that of the code."""
    assert [code(row[0]) for row in rows("docs/contracts.md", heading, "code")] == [str(c) for c in codes]


def topic_row(spec: TopicSpec) -> list[str]:
    """A spec as the table writes it."""
    return [
        spec.name,
        "1" if spec.partitions == 1 else "P",
        spec.cleanup.value,
        "for ever" if spec.retention_ms is None else f"{spec.retention_ms // HOUR_MS} h",
        spec.timestamp_type,
        str(spec.max_record_bytes),
    ]


def test_the_contract_lists_every_topic_as_it_has_to_be() -> None:
    """Partitions, cleanup, retention, timestamps and record sizes are those of `init`."""
    documented = [[code(row[0]), *row[1:6]] for row in rows("docs/contracts.md", "Topics", "topic")]
    assert documented == [topic_row(spec) for spec in Settings().topic_specs]


def test_the_readme_lists_every_topic() -> None:
    """The overview leaves none out."""
    specs = TopicNames.of().specs(partitions=2)
    assert [code(row[0]) for row in rows("README.md", "Topics", "topic")] == [spec.name for spec in specs]


def test_the_contract_lists_every_field_of_a_decision() -> None:
    """In the order in which they stand on the wire."""
    documented = [code(row[0]) for row in rows("docs/contracts.md", "The decision record", "field")]
    assert documented == list(DecisionRecord.model_fields)


def test_the_contract_lists_every_part_of_a_threshold() -> None:
    """In the order in which they stand on the wire."""
    documented = [code(row[0]) for row in rows("docs/contracts.md", "Thresholds", "part")]
    assert documented == list(ThresholdPart.model_fields)


def test_the_contract_lists_every_part_of_an_explanation() -> None:
    """In the order in which they stand on the wire; the example is one."""
    documented = [code(row[0]) for row in rows("docs/contracts.md", "Explanations", "part")]
    assert documented == list(ExplanationPart.model_fields)
    example = re.search(r"```json\n(.*?)```", section("docs/contracts.md", "Explanations"), re.DOTALL)
    assert example
    assert list(ExplanationPart.model_validate_json(example[1]).model_dump()) == list(json.loads(example[1]))


def test_the_contract_lists_every_outcome() -> None:
    """No answer of the service is unexplained."""
    documented = [code(row[0]) for row in rows("docs/contracts.md", "The decision record", "outcome")]
    assert documented == [str(outcome) for outcome in Outcome]


def test_the_contract_lists_every_header_of_a_dead_letter() -> None:
    """And none that is not written."""
    letter = encode_dead_letter(raw(), reason=Reason.LATE, stage=Stage.JOIN, error="", settled_ms=1)
    written = [name for name, _ in letter.headers if name.startswith(PREFIX)]
    assert [code(row[0]) for row in rows("docs/contracts.md", "Dead letters", "header")] == written


def test_the_decision_in_the_readme_is_one() -> None:
    """The reader's first example is read by the service's own reader."""
    example = re.search(r"```json\n(.*?)```", section("README.md", "What a decision looks like"), re.DOTALL)
    assert example
    record = raw(example[1].encode(), topic="matches")
    assert not isinstance(decode_decision(record), Rejected)
    assert list(json.loads(example[1])) == list(DecisionRecord.model_fields)


def test_the_handbook_lists_every_metric_with_its_type_and_labels() -> None:
    """What /metrics serves is what the table says, after each kind of fact was observed once."""
    served = {name: (family.kind, set(family.labels)) for name, family in families().items()}
    documented = {
        code(name): (kind, {code(label) for label in labels.split()})
        for name, kind, labels, _ in rows("docs/operations.md", "Metrics", "metric")
    }
    assert documented == served


def default_cell(value: Any) -> str:
    """A default as it is written in the environment."""
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return f"`{json.dumps(value)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def test_the_handbook_lists_every_setting_with_its_default() -> None:
    """Defaults that depend on the machine are told in words; all others are the very values."""
    documented = {code(row[0]): row[1] for row in rows("docs/operations.md", "Settings", "variable")}
    fields = {f"SIGHTLINE_{name.upper()}": field for name, field in Settings.model_fields.items()}
    assert documented.keys() == fields.keys()
    for name, field in fields.items():
        if field.default is PydanticUndefined:
            assert not documented[name].startswith("`"), name
        else:
            assert documented[name] == default_cell(field.default), name


TYPERS_OWN = {"--help", "--install-completion", "--show-completion"}


def options_of(command: Any) -> set[str]:
    """The long options of a command, or of all the commands of a group."""
    inner = getattr(command, "commands", {}).values()
    own = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
    return (own - TYPERS_OWN).union(*map(options_of, inner))


def test_the_readme_lists_every_command_with_its_options() -> None:
    """In the order of the help; no option is hidden, none is invented."""
    documented = {code(row[0]): set(row[2].split()) for row in rows("README.md", "Commands", "command")}
    existing = {
        f"sightline {name}": {f"`{option}`" for option in options_of(load(name, entry))}
        for name, entry in COMMANDS.items()
    }
    assert documented == existing
    assert list(documented) == list(existing)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_into_the_repository_leads_somewhere(document: Path) -> None:
    """Files exist, and headings too."""
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (document.parent / name).resolve() if name else document
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}
            assert anchor in anchors, target
