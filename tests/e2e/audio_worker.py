"""A worker with a third modality, as another project would start it: one factory more, nothing else."""

import sys

from index.records import ContractId, Feature, Modality
from stream.features.embedding import read_embedding
from stream.features.extractor import EMBEDDING_CONTENT_TYPE, Unusable
from stream.features.registry import FACTORIES, ExtractorConfig
from stream.worker.service import run
from stream.worker.settings import Settings

AUDIO = Modality("audio")
CONTRACT = ContractId("voice-4")
DIMENSION = 4


class VoiceExtractor:
    """Takes voices that arrive as embeddings."""

    modality = AUDIO
    contract_id = CONTRACT
    dimension = DIMENSION
    content_types = frozenset({EMBEDDING_CONTENT_TYPE})
    default_content_type = EMBEDDING_CONTENT_TYPE

    def extract(self, content_type: str, data: bytes) -> Feature | Unusable:  # noqa: ARG002  # the port's shape
        """The voice of one embedding."""
        return read_embedding(data, contract_id=CONTRACT, dimension=DIMENSION)


def make_voice(_: ExtractorConfig) -> VoiceExtractor:
    """The factory that a third modality consists of."""
    return VoiceExtractor()


if __name__ == "__main__":
    sys.exit(run(Settings(), factories={**FACTORIES, AUDIO: make_voice}))
