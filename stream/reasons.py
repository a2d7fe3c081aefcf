"""Every reason code the service publishes, in one place. A code is never renamed or reused."""

from enum import StrEnum


class Reason(StrEnum):
    """Why an event was set aside, or why a modality is missing. The value is what stands on the wire."""

    # The envelope.
    MISSING_KEY = "missing_key"
    BAD_KEY = "bad_key"
    BAD_HEADERS = "bad_headers"
    CLOCK_SKEW = "clock_skew"
    UNKNOWN_CONTENT_TYPE = "unknown_content_type"
    EMPTY = "empty"
    TOO_LARGE = "too_large"
    # Images.
    WRONG_MAGIC_BYTES = "wrong_magic_bytes"
    IMAGE_BOMB = "image_bomb"
    UNDECODABLE_IMAGE = "undecodable_image"
    NO_FACE = "no_face"
    SEVERAL_FACES = "several_faces"
    LOW_QUALITY = "low_quality"
    """Enrolment: the sample is under the policy's quality floor."""
    # Texts.
    INVALID_UTF8 = "invalid_utf8"
    EMPTY_TEXT = "empty_text"
    TEXT_TOO_LONG = "text_too_long"
    # Precomputed embeddings.
    BAD_JSON = "bad_json"
    WRONG_CONTRACT = "wrong_contract"
    BAD_VECTOR = "bad_vector"
    # Enrolment requests.
    BAD_REQUEST = "bad_request"
    UNKNOWN_IDENTITY = "unknown_identity"
    POSSIBLE_DUPLICATE = "possible_duplicate"
    """Enrolment: the sample could be returned as somebody else who is enrolled."""
    OUTLIER_SAMPLE = "outlier_sample"
    """Enrolment: the sample is unlike the others of its identity."""
    # The join.
    LATE = "late"
    WINDOW_DECIDED = "window_decided"
    """The subject's window had its decision before this event arrived."""
    # Missing modalities in a decision.
    NOT_RECEIVED = "not_received"


class Stage(StrEnum):
    """Where in the service an event was set aside."""

    CODEC = "codec"
    JOIN = "join"
    FEATURES = "features"
    ENROLMENT = "enrolment"
