"""The extractors of an installation, one a modality: a third modality is one more entry here."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from index.records import IMAGE, TEXT, Modality
from stream.features.encoders import load_encoder
from stream.features.errors import FeatureError
from stream.features.extractor import Extractor
from stream.features.guards import ImageLimits
from stream.features.image import ImageExtractor
from stream.features.models import pack_folder, pack_named
from stream.features.networks import Backend
from stream.features.text import TextExtractor


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractorConfig:
    """What the extractors are made from."""

    cache_dir: Path
    """Holds `models/<pack>/`."""
    pack: str = "faceplugin"
    backend: Backend = Backend.ONNXRUNTIME
    mirror: bool = False
    """See `FaceEncoder`."""
    image_limits: ImageLimits = field(default_factory=ImageLimits)
    max_text_chars: int = 4_096
    one_face: bool = False
    """For enrolment: a photo with two people of like prominence is refused."""


ExtractorFactory = Callable[[ExtractorConfig], Extractor]


def _image(config: ExtractorConfig) -> Extractor:
    pack = pack_named(config.pack, config.cache_dir)
    folder = pack_folder(pack, config.cache_dir)
    encoder = load_encoder(pack, folder, config.backend, mirror=config.mirror)
    return ImageExtractor(encoder=encoder, limits=config.image_limits, one_face=config.one_face)


def _text(config: ExtractorConfig) -> Extractor:
    return TextExtractor(max_chars=config.max_text_chars)


Factories = Mapping[Modality, ExtractorFactory]

FACTORIES: Factories = MappingProxyType({IMAGE: _image, TEXT: _text})
"""What makes each modality's extractor."""


def build_extractors(
    modalities: Iterable[Modality],
    config: ExtractorConfig,
    *,
    factories: Factories = FACTORIES,
) -> Mapping[Modality, Extractor]:
    """The extractor of each modality, loaded and ready.

    Raises:
        FeatureError: A modality has no factory.
        ModelError: A model file is missing or not the registered one.
    """
    wanted = tuple(modalities)
    unknown = [m for m in wanted if m not in factories]
    if unknown:
        raise FeatureError(
            f"no extractor for {', '.join(unknown)}; there are {', '.join(factories)}: "
            "set SIGHTLINE_MODALITIES to those, or register a factory"
        )
    return MappingProxyType({m: factories[m](config) for m in wanted})
