"""Small makers of valid things: each takes what a test is about and fills in the rest."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from index.crossing import AgreementRow, Crossing, Projection
from index.policy import Affine, MaskRow, ModalityRow, Policy, ProbabilityRow
from index.records import (
    IMAGE,
    TEXT,
    ContractId,
    Feature,
    IdentityId,
    Mask,
    Modality,
    Template,
    TemplateId,
    Vector,
)
from index.vectors import unit

AUDIO = Modality("audio")
"""A third modality: nothing in the core knows it."""


def contract(modality: Modality) -> ContractId:
    return ContractId(f"{modality}-v1")


def modality_rows(*modalities: Modality) -> tuple[ModalityRow, ...]:
    """Rows by rank: a primary of sharp similarity, supporters worth .02 of it a unit of t."""
    scales = {IMAGE: 20.0, TEXT: 6.0}
    return tuple(
        ModalityRow(
            modality=modality,
            llr=Affine(scale=scales.get(modality, 8.0), bias=-2.0),
            weight=0.02 if rank else 0.0,
            clip=2.0,
        )
        for rank, modality in enumerate(modalities)
    )


def mask_rows(*modalities: Modality) -> Mapping[Mask, MaskRow]:
    """A row for every mask: only those with the primary may match."""
    masks = [
        frozenset(mask) for size in range(1, len(modalities) + 1) for mask in combinations(modalities, size)
    ]
    return {
        mask: MaskRow(
            scale=20.0 if modalities[0] in mask else 1.0,
            bias=-6.0 if modalities[0] in mask else 0.0,
            may_match=modalities[0] in mask,
            fallback_threshold=4.0,
        )
        for mask in masks
    }


def policy(*modalities: Modality, **changes: Any) -> Policy:
    """A policy over the modalities (image and text unless told), bound to `contract` of each."""
    modalities = modalities or (IMAGE, TEXT)
    made = Policy(
        policy_id="test",
        rows=modality_rows(*modalities),
        masks=mask_rows(*modalities),
        probability=ProbabilityRow(a=1.0, b=1.0, c=0.0),
        margin=0.5,
        contracts={modality: contract(modality) for modality in modalities},
    )
    return replace(made, **changes)


def crossed(rules: Policy, dimension: int, *, seed: int = 0) -> Policy:
    """The same policy with a crossing between faces and descriptions of this dimension, drawn by the seed."""
    rng = np.random.default_rng(seed)

    def end() -> Projection:
        matrix = rng.standard_normal((4, dimension)).astype(np.float32)
        return Projection(matrix=matrix, offset=np.zeros(4, dtype=np.float32), floor=1e-3)

    crossing = Crossing(
        face=IMAGE,
        description=TEXT,
        of_face=end(),
        of_description=end(),
        agreement=AgreementRow(described=4.0, own=2.0, enrolled=1.0, bias=-1.0),
        agreement_of_faces=AgreementRow(described=0.0, own=3.0, enrolled=2.0, bias=-1.0),
    )
    row = MaskRow(scale=5.0, bias=-1.0, may_match=False, fallback_threshold=4.0)
    return replace(
        rules,
        crossing=crossing,
        masks={**rules.masks, **{frozenset({name}): row for name in crossing.names}},
    )


def feature(vector: Any, modality: Modality = IMAGE, quality: float | None = None) -> Feature:
    """A feature of that direction, made by the modality's contract."""
    return Feature(vector=unit(vector), contract_id=contract(modality), quality=quality)


def features(**vectors: Any) -> dict[Modality, Feature]:
    """Features by name of modality: `features(image=[1, 0], text=[0, 1])`."""
    return {Modality(name): feature(vector, Modality(name)) for name, vector in vectors.items()}


def template(identity: str, sample: str = "t1", **vectors: Any) -> Template:
    """One sample of an identity: `template("ann", image=[1, 0])`."""
    return Template(
        identity_id=IdentityId(identity), template_id=TemplateId(sample), features=features(**vectors)
    )


def people(count: int, dimension: int, *, spread: float, samples: int, seed: int) -> Vector:
    """(count, samples, D) unit vectors: people drawn on the sphere, their samples `spread` around them."""
    rng = np.random.default_rng(seed)
    centres = unit(rng.standard_normal((count, 1, dimension)))
    return unit(centres + spread / np.sqrt(dimension) * rng.standard_normal((count, samples, dimension)))
