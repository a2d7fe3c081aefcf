"""Image to vector: guard, decode, find the face that is meant, align, embed."""

from dataclasses import dataclass, field

import numpy as np

from index.records import IMAGE, ContractId, Feature, Modality
from stream.features.cv import MAX_DECODED_PIXELS, cv2
from stream.features.embedding import read_embedding
from stream.features.encoders import FaceEncoder
from stream.features.errors import FeatureError
from stream.features.extractor import EMBEDDING_CONTENT_TYPE, Unusable
from stream.features.faces import has_rival
from stream.features.guards import (
    CONTENT_TYPES,
    UNDECLARED,
    ImageHeader,
    ImageLimits,
    inspect_image,
    media_type,
)
from stream.features.networks import BgrImage
from stream.reasons import Reason

WORKING_SIDE_PX = 1280
"""A larger photo is decoded at 1/2, 1/4 or 1/8, the smallest that keeps its long side at least this long."""

_REDUCED = ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2))
_LEAST_NORM = 1e-6
"""Under it an embedding has no direction that could be trusted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageExtractor:
    """The `Extractor` of photos: one face, one vector, and the norm of its embedding as quality."""

    encoder: FaceEncoder
    limits: ImageLimits = field(default_factory=ImageLimits)
    one_face: bool = False
    """Enrolment asks for a photo of one person; a probe takes the most prominent face."""

    def __post_init__(self) -> None:
        if self.limits.max_pixels > MAX_DECODED_PIXELS:
            raise FeatureError(
                f"max_pixels is {self.limits.max_pixels}, and no image over {MAX_DECODED_PIXELS} is ever "
                "decoded; lower the setting"
            )

    @property
    def modality(self) -> Modality:
        """See `Extractor`."""
        return IMAGE

    @property
    def contract_id(self) -> ContractId:
        """See `Extractor`."""
        return self.encoder.contract_id

    @property
    def dimension(self) -> int:
        """See `Extractor`."""
        return self.encoder.dimension

    @property
    def content_types(self) -> frozenset[str]:
        """See `Extractor`."""
        return CONTENT_TYPES | {EMBEDDING_CONTENT_TYPE}

    @property
    def default_content_type(self) -> str:
        """See `Extractor`."""
        return UNDECLARED

    def extract(self, content_type: str, data: bytes) -> Feature | Unusable:
        """See `Extractor`."""
        if media_type(content_type) == EMBEDDING_CONTENT_TYPE:
            return read_embedding(data, contract_id=self.contract_id, dimension=self.dimension)
        header = inspect_image(content_type, data, self.limits)
        if isinstance(header, Unusable):
            return header
        image = decode(data, header)
        if isinstance(image, Unusable):
            return image
        return self._feature(image)

    def _feature(self, image: BgrImage) -> Feature | Unusable:
        faces, image = self.encoder.find(image)
        if not faces:
            height, width = image.shape[:2]
            return Unusable(reason=Reason.NO_FACE, detail=f"no face in {width} x {height} pixels")
        if self.one_face and has_rival(faces, image):
            return Unusable(
                reason=Reason.SEVERAL_FACES, detail=f"{len(faces)} faces, two of them alike in size and place"
            )
        embedding = self.encoder.embed(image, faces[0])
        norm = 0.0 if embedding is None else float(np.linalg.norm(embedding))
        if embedding is None or not _LEAST_NORM < norm < np.inf:
            return Unusable(reason=Reason.NO_FACE, detail=f"the face gives an embedding of norm {norm:.3g}")
        return Feature(
            vector=(embedding / np.float32(norm)).astype(np.float32),
            contract_id=self.contract_id,
            quality=norm,
        )


def decode(data: bytes, header: ImageHeader) -> BgrImage | Unusable:
    """The pixels of an image whose header was accepted: 8-bit BGR without alpha, upright by its EXIF tag."""
    long_side = max(header.width_px, header.height_px)
    flag = next((f for n, f in _REDUCED if long_side // n >= WORKING_SIDE_PX), cv2.IMREAD_COLOR)
    try:
        image: BgrImage | None = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flag)
    except cv2.error:
        image = None
    if image is None:
        return Unusable(
            reason=Reason.UNDECODABLE_IMAGE, detail=f"{header.format.value} of {len(data)} bytes is damaged"
        )
    return image
