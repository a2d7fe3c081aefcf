"""The errors of features: catch `FeatureError` to catch them all. Bad input is never one of them."""


class FeatureError(Exception):
    """Root of every error that `stream.features` raises."""


class ModelError(FeatureError):
    """A model file is missing, is not the registered one, or cannot be loaded."""


class PolicyFileError(FeatureError):
    """A policy file cannot be read, or belongs to other extractors than the ones in use."""
