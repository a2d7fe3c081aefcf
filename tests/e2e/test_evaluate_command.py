"""`sightline evaluate` on rendered people: its files, its page, its comparison, and the same bytes twice."""

import json
from html.parser import HTMLParser
from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner, Result

from stream.cli.main import app
from stream.demo.rendered import RenderPlan, render_people
from tests.e2e.labelled_folder import write_manifest

PLOTS = {"calibration.png", "cmc.png", "conditions.png", "det.png", "realised_fpir.png", "scores.png"}
COMMAND = ("evaluate", "--quick", "--conditions", "clean,covered:strong", "--seed", "7")


@pytest.fixture(scope="module")
def photos_of_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    write_manifest(folder, render_people(RenderPlan(enrolled=8, strangers=6, probes=3)).persons)
    return folder


@pytest.fixture(scope="module")
def written(photos_of_people: Path, model_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report."""
    folder = tmp_path_factory.mktemp("report")
    done = evaluated(photos_of_people, "--out", str(folder), "--features", str(folder / "features"))
    assert done.exit_code == 0, done.output
    return folder


def evaluated(people: Path, *options: str) -> Result:
    return CliRunner().invoke(app, [*COMMAND, str(people), *options])


class Page(HTMLParser):
    """What a page fetches, shows and says."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.tags: set[str] = set()
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.sources += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "data"}]

    def photos(self) -> int:
        return sum(source.startswith("data:image/jpeg;base64,") for source in self.sources)


def test_the_report_is_written_beside_its_plots(written: Path) -> None:
    """Each plot is an image with something on it."""
    assert {path.name for path in written.iterdir()} == {
        *PLOTS,
        "report.json",
        "report.md",
        "report.html",
        "features",
    }
    for name in PLOTS:
        image = cv2.imread(str(written / name))
        assert image is not None, name
        assert image.std() > 5, name


def test_the_page_needs_nothing_but_itself(written: Path) -> None:
    """Every image is inside, nothing is fetched, no script runs; the confusions show their photos."""
    page = Page(written / "report.html")
    assert all(source.startswith("data:image/") for source in page.sources)
    assert len(page.sources) > len(PLOTS)
    assert page.photos() >= 2
    assert page.tags.isdisjoint({"script", "link", "iframe", "object"})
    assert "url(" not in page.text
    assert "://" not in page.text
    assert "Realised against asked FPIR" in page.text


def test_the_same_seed_writes_the_same_report_and_no_photos_where_none_are_wanted(
    photos_of_people: Path, written: Path, tmp_path: Path
) -> None:
    """Features that were kept are those that would be made; against its baseline nothing has changed."""
    baseline = written / "report.json"
    options = ("--no-photos", "--baseline", str(baseline), "--features", str(written / "features"))
    done = evaluated(photos_of_people, "--out", str(tmp_path), *options)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "report.json").read_bytes() == baseline.read_bytes()
    page = Page(tmp_path / "report.html")
    assert page.photos() == 0
    assert "Against the baseline" in page.text
    assert "0 of " in page.text


def test_json_on_stdout_is_the_report_and_extraction_is_deterministic(
    photos_of_people: Path, written: Path
) -> None:
    """Nothing was kept for this run, and nothing is written by it."""
    before = sorted(photos_of_people.rglob("*"))
    done = evaluated(photos_of_people, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == json.loads((written / "report.json").read_bytes())
    assert sorted(photos_of_people.rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--conditions", "foggy"), 2, "no condition is called 'foggy'"),
        (("--pack", "none"), 1, "no model pack is called 'none'"),
        (("--policy", "nowhere.json"), 1, "cannot read the policy nowhere.json"),
        (("--baseline", "nowhere.json"), 1, "cannot read nowhere.json as a report"),
    ],
)
def test_a_wrong_call_says_what_to_do(
    photos_of_people: Path, model_cache: Path, options: tuple[str, ...], code: int, message: str
) -> None:
    """Before anything is extracted."""
    done = evaluated(photos_of_people, *options)
    assert done.exit_code == code
    assert message in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.output
