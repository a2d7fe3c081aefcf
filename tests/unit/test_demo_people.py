"""People for a run: readers of the operator's files, the casting of roles, and the order of choice."""

from pathlib import Path

import pytest

from stream.demo import lfw
from stream.demo.choice import DATA_VARIABLE, SHARED_PHOTOS, Choice, Kind, choose
from stream.demo.errors import PeopleError
from stream.demo.folders import read_people
from stream.demo.people import LabelledPhoto, Photo, Role, cast
from stream.demo.rendered import RenderPlan, render_people


def lay_out(folder: Path, files: dict[str, str]) -> Path:
    """A folder with these files in it."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def test_a_folder_is_a_person_and_captions_stand_beside_or_in_a_table(tmp_path: Path) -> None:
    """Photos of every suffix are found; a text beside a photo goes before the table."""
    lay_out(
        tmp_path,
        {
            "ann/1.jpg": "a1",
            "ann/1.txt": "A tall woman.\n",
            "ann/2.PNG": "a2",
            "bob/x.webp": "bx",
            "bob/notes.md": "no photo",
            "captions.csv": "file,caption\nann/1.jpg,ignored\nbob/x.webp,A man.\n",
        },
    )
    read = [(p.identity_id, p.photo.name, p.photo.caption, p.role) for p in read_people(tmp_path)]
    assert read == [
        ("ann", "ann/1.jpg", "A tall woman.", None),
        ("ann", "ann/2.PNG", "", None),
        ("bob", "bob/x.webp", "A man.", None),
    ]
    assert read_people(tmp_path)[0].photo.read() == b"a1"


MANIFEST = (
    "file,identity,role,caption\ni/1.jpg,ann,enrol,A woman.\ni/2.jpg,ann,probe,\ni/3.jpg,cy,stranger,\n"
)
PHOTOS = {"i/1.jpg": "", "i/2.jpg": "", "i/3.jpg": ""}


def test_a_folder_with_a_manifest_is_read_by_it(tmp_path: Path) -> None:
    """The manifest may be named or found, and says the roles."""
    lay_out(tmp_path, {"manifest.csv": MANIFEST, **PHOTOS})
    read = read_people(tmp_path)
    assert read == read_people(tmp_path / "manifest.csv")
    assert [p.role for p in read] == [Role.ENROL, Role.PROBE, Role.STRANGER]
    assert [p.photo.caption for p in read] == ["A woman.", "", ""]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "holds no photos as <identity>/<photo>.jpg"),
        ({"photo.jpg": "not in a person's folder"}, "make one folder a person"),
        ({"manifest.csv": "name,who\n"}, "lacks file, identity"),
        ({"manifest.csv": "file,identity\n"}, "lists no photos"),
        ({"manifest.csv": "file,identity\ni/1.jpg,ann\n"}, "lists i/1.jpg, which is not there"),
        ({"manifest.csv": "file,identity,role\ni/1.jpg,ann,boss\n", **PHOTOS}, "line 2 has the role 'boss'"),
        ({"manifest.csv": "file,identity\ni/1.jpg\n", **PHOTOS}, "line 2 lacks file or identity"),
        ({"manifest.csv": "file,identity\ni/1.jpg,\n", **PHOTOS}, "line 2 lacks file or identity"),
    ],
)
def test_what_cannot_be_read_says_where_and_what_to_do(
    tmp_path: Path, files: dict[str, str], said: str
) -> None:
    """Every fault of a folder or manifest is named, never guessed around."""
    with pytest.raises(PeopleError, match=said):
        read_people(lay_out(tmp_path, files))


def test_a_manifest_in_another_encoding_is_refused(tmp_path: Path) -> None:
    """Latin-1 is not read as if it were UTF-8."""
    (tmp_path / "manifest.csv").write_bytes("file,identity\nä,b\n".encode("latin-1"))
    with pytest.raises(PeopleError, match="CSV in UTF-8"):
        read_people(tmp_path)


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A wrong path is told from an empty folder."""
    with pytest.raises(PeopleError, match="does not exist"):
        read_people(tmp_path / "nowhere")


def test_a_photo_that_went_away_is_named(tmp_path: Path) -> None:
    """Photos are read when they are needed; one removed meanwhile is an error with its name."""
    with pytest.raises(PeopleError, match=r"gone\.jpg"):
        Photo(name="gone", caption="", source=tmp_path / "gone.jpg").read()


def photos(identity: str, count: int, role: Role | None = None) -> list[LabelledPhoto]:
    """Some photos of one person."""
    return [
        LabelledPhoto(
            identity_id=identity, photo=Photo(name=f"{identity}/{i}", caption="", source=b""), role=role
        )
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("count", "enrolled", "probes"), [(1, 0, 1), (2, 1, 1), (3, 1, 2), (4, 2, 2), (9, 2, 7)]
)
def test_half_of_the_photos_up_to_two_are_enrolled_where_no_role_is_given(
    count: int, enrolled: int, probes: int
) -> None:
    """Somebody with a single photo is a stranger."""
    people = cast("test", photos("ann", count) + photos("pair", 2) + photos("one", 1), limit=9, seed=0)
    ann = next(p for p in people.persons if p.identity_id == "ann")
    assert (len(ann.enrolled), len(ann.probes)) == (enrolled, probes)


def test_given_roles_are_kept() -> None:
    """A manifest's word is not second-guessed."""
    given = photos("ann", 1, Role.ENROL) + photos("ann", 5, Role.PROBE) + photos("cy", 3, Role.STRANGER)
    people = cast("test", given, limit=9, seed=0)
    assert [(p.identity_id, len(p.enrolled), len(p.probes)) for p in people.persons] == [
        ("ann", 1, 5),
        ("cy", 0, 3),
    ]


def test_where_everybody_could_be_enrolled_a_quarter_stay_strangers() -> None:
    """Without strangers there would be no FPIR to speak of."""
    everybody = [photo for i in range(20) for photo in photos(f"p{i:02}", 3)]
    people = cast("test", everybody, limit=99, seed=1)
    assert (len(people.enrolled), len(people.strangers)) == (15, 5)
    assert all(len(p.probes) == 3 for p in people.strangers)


def test_the_seed_chooses_who_and_the_limit_how_many() -> None:
    """The same seed casts the same people; another one others."""
    everybody = [photo for i in range(40) for photo in photos(f"p{i:02}", 3)]
    first, again, other = (cast("test", everybody, limit=5, seed=s) for s in (1, 1, 2))
    assert first == again != other
    assert len(first.enrolled) == len(first.strangers) == 5


@pytest.mark.parametrize("given", [photos("ann", 4), photos("ann", 1) + photos("bob", 1), []])
def test_too_few_people_are_refused(given: list[LabelledPhoto]) -> None:
    """A run needs somebody to find and somebody not to find."""
    with pytest.raises(PeopleError, match="at least one of each is needed"):
        cast("test", given, limit=9, seed=0)


def test_the_same_plan_renders_the_same_people_in_any_number_of_processes() -> None:
    """The number of processes is a matter of time only."""
    plan = RenderPlan(enrolled=1, strangers=1, probes=1, seed=4)
    ready: list[tuple[int, int]] = []
    people = render_people(plan, progress=lambda done, of: ready.append((done, of)))
    assert people == render_people(plan, processes=2)
    assert ready == [(i, 4) for i in range(1, 5)]
    assert [(len(p.enrolled), len(p.probes)) for p in people.persons] == [(2, 1), (0, 1)]
    assert all(photo.caption for p in people.persons for photo in (*p.enrolled, *p.probes))


def test_another_seed_renders_other_people() -> None:
    """Seeds do not overlap."""
    one, two = (render_people(RenderPlan(enrolled=1, strangers=0, probes=0, seed=s)) for s in (1, 2))
    assert one.persons[0].enrolled != two.persons[0].enrolled


GIVEN = Path("given")


@pytest.mark.parametrize(
    ("given", "environment", "shared", "fetch", "kind", "path"),
    [
        (GIVEN, "env", True, True, Kind.FILES, GIVEN),
        (None, "env", True, True, Kind.FILES, Path("env")),
        (None, "", True, True, Kind.FILES, SHARED_PHOTOS),
        (None, "", False, True, Kind.LFW, None),
        (None, "", False, False, Kind.RENDERED, None),
    ],
)
def test_photos_given_go_before_photos_at_hand_before_lfw_before_rendered(
    tmp_path: Path,
    given: Path | None,
    environment: str,
    shared: bool,
    fetch: bool,
    kind: Kind,
    path: Path | None,
) -> None:
    """The order in which a run looks for people, each step with all later ones possible too."""
    repository = tmp_path / "repository"
    repository.mkdir()
    if shared:
        (repository / SHARED_PHOTOS).mkdir(parents=True)
    choice = choose(given, lfw=fetch, environment=environment, repository=repository)
    expected = repository / path if path == SHARED_PHOTOS else path
    assert (choice.kind, choice.path) == (kind, expected)


def test_rendered_people_can_be_asked_for_where_photos_are_at_hand() -> None:
    """Nothing goes before an explicit wish for rendered people but a folder given."""
    choice = choose(None, lfw=True, rendered=True, environment="env")
    assert choice == Choice(kind=Kind.RENDERED, name="rendered people")


def test_the_variable_is_read_when_nobody_says_what_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGHTLINE_DATA names photos for every run of a machine."""
    monkeypatch.setenv(DATA_VARIABLE, "somewhere")
    assert choose(None, lfw=False).path == Path("somewhere")


def test_lfw_is_the_folder_that_the_fetcher_leaves_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fetcher is asked for little, and every photo it has unpacked is used."""
    asked: list[object] = []

    def fetch(*, data_home: Path, min_faces_per_person: int) -> None:
        asked.append(min_faces_per_person)
        lay_out(data_home / lfw.UNPACKED, {"Ann_Lee/Ann_Lee_0001.jpg": "a", "Bo/Bo_0001.jpg": "b"})

    monkeypatch.setattr("sklearn.datasets.fetch_lfw_people", fetch)
    assert [p.identity_id for p in lfw.fetch_lfw(tmp_path)] == ["Ann_Lee", "Bo"]
    assert asked == [lfw.FEWEST_FACES_LOADED]


def test_lfw_that_cannot_be_had_names_the_other_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network the error names --data."""

    def fetch(**_: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("sklearn.datasets.fetch_lfw_people", fetch)
    with pytest.raises(PeopleError, match=r"no route to host.*--data DIR"):
        lfw.fetch_lfw(tmp_path)
