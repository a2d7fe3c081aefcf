"""The one error tree of this package: catch `GalleryError` to catch them all."""


class GalleryError(Exception):
    """Root of every error that `index` raises."""


class VectorError(GalleryError):
    """A vector is not one: wrong shape, not finite, or of no length."""


class ContractError(GalleryError):
    """Vectors of two embedding contracts met; their similarity would mean nothing."""


class PolicyError(GalleryError):
    """A policy lacks a row that the gallery or the probe needs, or contradicts itself."""


class UnknownIdentityError(GalleryError, KeyError):
    """The identity or template asked for is not enrolled."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""
