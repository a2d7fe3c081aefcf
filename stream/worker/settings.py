"""Every setting of the service, read from the environment (`SIGHTLINE_…`): the one home of configuration."""

import os
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from index.records import Modality
from stream.review import ReviewMode
from stream.revisions import Revisions
from stream.worker.topics import TopicNames, TopicSpec

Share = Annotated[float, Field(gt=0, lt=1)]


class Settings(BaseSettings):
    """Settings of the worker and of every command; each is `SIGHTLINE_<NAME>` in the environment."""

    model_config = SettingsConfigDict(env_prefix="SIGHTLINE_", extra="ignore", frozen=True)

    bootstrap: str = "127.0.0.1:9092"
    """Kafka bootstrap servers, `host:port[,host:port…]`."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    sasl_password_file: Path | None = None
    """Holds the password, and goes before it: a secret in a file is in no process list and no container's
    description."""
    ssl_cafile: Path | None = None

    app_id: str = "sightline"
    """Kafka consumer group, and the stem of every other name the service takes on the broker."""
    topic_prefix: str = "sightline"
    topic_version: str = "v1"
    partitions: int = Field(default=8, ge=1, le=1024)
    """Partitions of every co-partitioned topic: the most workers that can share the work."""
    replication_factor: int = Field(default=1, ge=1)
    modalities: tuple[Modality, ...] = (Modality("image"), Modality("text"))
    """Each has an input topic, an extractor and a row of policy."""
    instance_id: str | None = None
    """Static group membership, unique per worker and kept over restarts: assigned in 2 s, not 20. None takes
    the host's name and its lowest free slot."""

    window_ms: int = Field(default=2_000, ge=1)
    """Events of a subject within this span of event time belong together."""
    grace_ms: int = Field(default=1_000, ge=0)
    """How far out of order events may arrive."""
    revisions: Revisions = Revisions.FINAL_ONLY
    """Whether decisions are published before their window closes, to be superseded later."""
    max_skew_ms: int = Field(default=60_000, ge=0)
    """How far ahead of the broker's clock an event time may be."""

    pack: str = "faceplugin"
    """Model pack of the image extractor: see `sightline models list`."""
    backend: Literal["onnxruntime", "opencv"] = "onnxruntime"
    mirror: bool = False
    """Average each face with its mirror image: another contract, which needs a policy of its own."""
    policy: Path | None = None
    """A policy file; None takes the one shipped with the pack."""
    target_fpir: Share | None = None
    """At most this share of strangers is to be returned as somebody known; None takes the policy's."""
    target_fpir_by_mask: dict[str, Share] = {}
    """The same for probes of some masks, as `{"image": 0.003, "image+text": 0.01}`."""
    review: ReviewMode = ReviewMode.LENIENT
    """Whether an enrolment that looks like somebody else's, or unlike its own, is rejected or warned of."""
    candidates: int = Field(default=5, ge=2, le=100)
    """Length K of the candidate list in a decision; without a runner-up no margin could be asked for."""

    max_image_bytes: int = Field(default=4 << 20, ge=1024)
    max_image_pixels: int = Field(default=40_000_000, ge=4096)
    max_text_chars: int = Field(default=4_096, ge=16)
    max_in_flight: int = Field(default=512, ge=1)
    """Events between arrival and feature; intake waits beyond it."""
    max_in_flight_bytes: int = Field(default=64 << 20, ge=1 << 20)
    max_held_events: int = Field(default=50_000, ge=1)
    """Events that wait in the joins of one worker; beyond it, inputs that run ahead of the others wait."""
    extract_threads: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)

    session_timeout_s: float = Field(default=20.0, ge=3)
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8900, ge=0, le=65535)
    """/metrics, /healthz and /readyz; 0 takes a free port."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_json: bool = False

    cache_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_cache_dir("sightline")))
    """Jars and model packs, shared by all runs of this user."""

    @field_validator("sasl_password_file")
    @classmethod
    def _readable(cls, path: Path | None) -> Path | None:
        try:
            if path is not None:
                path.read_bytes()
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror}") from error
        return path

    @property
    def password(self) -> str | None:
        """The password for the broker, as it stands in its file now or as it was given."""
        if self.sasl_password_file is not None:
            return self.sasl_password_file.read_text(encoding="utf-8").rstrip("\r\n")
        return self.sasl_password.get_secret_value() if self.sasl_password else None

    @property
    def topics(self) -> TopicNames:
        """The names of this installation's topics."""
        return TopicNames.of(prefix=self.topic_prefix, version=self.topic_version, modalities=self.modalities)

    @property
    def topic_specs(self) -> tuple[TopicSpec, ...]:
        """Every topic of this installation as it has to be."""
        return self.topics.specs(partitions=self.partitions, max_payload_bytes=self.max_image_bytes)


def faults(error: ValidationError) -> str:
    """What is wrong with which setting, for the operator."""
    named = (f"SIGHTLINE_{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors())
    return f"{'; '.join(named)}. Mend the option or the variable."
