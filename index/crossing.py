"""Photos compared with descriptions: where a pair has no modality in common, both are taken to a third space.

A crossing has two ends. Each end's vectors are projected into one space of few dimensions, where a face
lies near to how such faces are described (attribute regression, after Kumar et al., ICCV 2009). A projected
vector goes by the name of the pair that it serves, `image>text` for a probe's photo and an enrolled
description: in slabs, masks and similarities it is a modality like any other.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from index.records import Modality, Vector

_JOINT = ">"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Projection:
    """One end: e -> unit(M·e + o)."""

    matrix: npt.NDArray[np.float32]
    """M: (K, D) float32."""
    offset: Vector
    """o: (K,) float32."""
    floor: float
    """Where ‖M·e + o‖ is under it the vector says nothing of what the other end knows."""

    def __call__(self, vector: Vector) -> Vector:
        """(K,) float32 of a placed (D,) vector: of unit norm, or zeros where it says nothing.

        The same bits wherever it is asked: no BLAS.
        """
        image = np.add.reduce(np.multiply(self.matrix, vector, dtype=np.float64), axis=1) + self.offset
        norm = math.sqrt(float(np.add.reduce(image * image)))
        projected: Vector = (image / norm if norm >= self.floor else np.zeros_like(image)).astype(np.float32)
        return projected


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementRow:
    """LLR that a probe's description is of the identity that its face is taken for, from three cosines.

    The last two are of projected vectors.
    """

    described: float
    """Weighs that of the probe's description and the identity's; 0 where the identity has none."""
    own: float
    """That of the probe's description and the probe's face."""
    enrolled: float
    """That of the probe's description and the identity's face."""
    bias: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Crossing:
    """Two ends, and what comes of comparing them."""

    face: Modality
    """The primary modality."""
    description: Modality
    of_face: Projection
    of_description: Projection
    agreement: AgreementRow
    """With an identity that has a description."""
    agreement_of_faces: AgreementRow
    """With one that has none."""

    @property
    def names(self) -> tuple[Modality, Modality]:
        """Of the comparisons: a probe's face with a description, a probe's description with a face."""
        return joined(self.face, self.description), joined(self.description, self.face)

    def of_probe(self, vectors: Mapping[Modality, Vector]) -> Mapping[Modality, Vector]:
        """What a probe of one end alone is compared by with identities of the other end alone."""
        return self._projected(vectors, dict(zip((self.face, self.description), self.names, strict=True)))

    def of_identity(self, vectors: Mapping[Modality, Vector]) -> Mapping[Modality, Vector]:
        """What an identity of one end alone is compared by with probes of the other end alone."""
        return self._projected(vectors, dict(zip((self.description, self.face), self.names, strict=True)))

    def enrolled_end(self, name: Modality) -> Modality:
        """The modality that identities compared by this name are enrolled in."""
        return self.description if name == self.names[0] else self.face

    def project(self, modality: Modality, vector: Vector) -> Vector:
        """A placed vector of an end in the common space."""
        return self.of_face(vector) if modality == self.face else self.of_description(vector)

    def _projected(
        self, vectors: Mapping[Modality, Vector], names: Mapping[Modality, Modality]
    ) -> Mapping[Modality, Vector]:
        # With a second modality on either side a pair may have one in common, which says more.
        if len(vectors) != 1:
            return {}
        return {names[m]: self.project(m, vector) for m, vector in vectors.items() if m in names}


def joined(probe_end: Modality, enrolled_end: Modality) -> Modality:
    """The name of a comparison across modalities."""
    return Modality(f"{probe_end}{_JOINT}{enrolled_end}")
