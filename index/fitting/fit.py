"""Labelled samples -> policy."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from index.calibration import with_tails
from index.errors import PolicyError
from index.faiss_gallery import FaissGallery
from index.fitting.across import Across, fit_across
from index.fitting.labelled import Doubles, Labelled, Names, having, mated_pairs, names, vectors
from index.fitting.odds import fit_probability
from index.fitting.rows import (
    fit_evidence,
    fit_floor,
    fit_mask,
    fit_scaling,
    fit_weight,
    found_first,
    look_alikes,
)
from index.fusion import score
from index.policy import Affine, MaskRow, ModalityRow, Policy, ProbabilityRow
from index.records import IMAGE, TEXT, ContractId, IdentityId, Mask, Modality, Template, TemplateId, Vector

FEWEST_IDENTITIES = 20
"""With two photos each: fewer show no distribution of anything."""
DEFAULT_TARGET_FPIR = 0.01
CLIP = 2.0
MARGIN_LLR = math.log(3.0)
"""A match must be three times as likely as every other identity over the threshold."""
FACE, SAID, BOTH = frozenset({IMAGE}), frozenset({TEXT}), frozenset({IMAGE, TEXT})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """A policy and what it was seen to do on people who were held out."""

    policy: Policy
    identities: int
    photos: int
    degraded: int
    mated_pairs: int
    auc_across: float | None
    """Of photos with descriptions, on held-out people."""
    conflict_found: float | None
    """Share of swapped descriptions that `conflict_below` finds, on held-out people."""


def fit_policy(
    clean: Sequence[Labelled],
    degraded: Sequence[Labelled],
    *,
    policy_id: str,
    contracts: Mapping[Modality, ContractId],
    target_fpir: float = DEFAULT_TARGET_FPIR,
    seed: int = 0,
) -> Fitted:
    """All constants of a policy.

    Clean photos set how scores read, as those will be enrolled. Without descriptions of people with two
    photos the policy is for images alone.

    Args:
        clean: Photos with descriptions where there are any.
        degraded: The same photos made worse, some past use: they show the quality floor.
        policy_id: Of the policy.
        contracts: What made the vectors.
        target_fpir: For the fallback thresholds.
        seed: Of the folds and sub-galleries.

    Raises:
        PolicyError: Too few people have two photos, or greater similarity does not speak for one person.
    """
    faces = having(clean, IMAGE)
    same, different = mated_pairs(faces, faces)
    several = len(set(names(faces)[same.any(axis=1)]))
    if several < FEWEST_IDENTITIES:
        raise PolicyError(
            f"{several} people have two photos with a face; a fit needs {FEWEST_IDENTITIES} or more."
        )
    mean = vectors(faces, IMAGE).astype(np.float64).mean(axis=0).round(6).astype(np.float32)
    row = ModalityRow(modality=IMAGE, llr=Affine(scale=1.0, bias=0.0), mean=mean)
    cosines = _cosines(row.place(vectors(faces, IMAGE)))
    alone = fit_mask(cosines, same, different, may_match=True)
    row = replace(row, llr=Affine(scale=alone.scale, bias=alone.bias))
    policy = Policy(
        policy_id=policy_id,
        rows=(row,),
        masks={FACE: alone},
        probability=ProbabilityRow(a=1.0, b=1.0, c=0.0),
        margin=round(MARGIN_LLR, 4),
        target_fpir=target_fpir,
        contracts={IMAGE: contracts[IMAGE]},
    )
    rng = np.random.default_rng(seed)
    across = None
    described = having(clean, IMAGE, TEXT)
    if len(set(names(described)[mated_pairs(described, described)[0].any(axis=1)])) >= FEWEST_IDENTITIES:
        policy, across = _with_text(policy, described, contracts[TEXT], rng)
    floor = _floor(policy, [*clean, *degraded], faces)
    policy = replace(policy, rows=(replace(policy.rows[0], quality_floor=floor), *policy.rows[1:]))
    policy = with_tails(_enrolled(policy, clean).contents())
    policy = _with_odds(policy, clean, rng)
    return Fitted(
        policy=policy,
        identities=len(set(names(clean))),
        photos=len(faces),
        degraded=len(having(degraded, IMAGE)),
        mated_pairs=int(same.sum()) // 2,
        auc_across=None if across is None else _auc(across.mated, across.non_mated),
        conflict_found=None if across is None else across.found,
    )


def _with_text(
    policy: Policy, samples: Sequence[Labelled], contract: ContractId, rng: np.random.Generator
) -> tuple[Policy, Across]:
    """The policy with a row of text, the masks that it makes, and a crossing."""
    same, different = mated_pairs(samples, samples)
    raw = vectors(samples, TEXT)
    row = ModalityRow(
        modality=TEXT, llr=Affine(scale=1.0, bias=0.0), scaling=fit_scaling(raw, names(samples)), clip=CLIP
    )
    placed = {IMAGE: policy.rows[0].place(vectors(samples, IMAGE)), TEXT: row.place(raw)}
    s, texts = _cosines(placed[IMAGE]), _cosines(placed[TEXT])
    alike = look_alikes(s, different)
    llr = fit_evidence(texts, same, alike)
    t = llr.scale * texts + llr.bias
    clipped = np.clip(t, -CLIP, CLIP)
    weight = fit_weight(s, clipped, same, alike, names(samples), rng)
    across = fit_across(samples, placed, rng)
    said = fit_mask(t, same, different, may_match=False)
    llr_across = fit_evidence(
        np.concatenate([across.mated, across.non_mated]),
        np.repeat([True, False], [len(across.mated), len(across.non_mated)]),
        np.repeat([False, True], [len(across.mated), len(across.non_mated)]),
    )
    masks: dict[Mask, MaskRow] = {
        **policy.masks,
        SAID: said,
        BOTH: fit_mask(s + weight * clipped, same, different, may_match=True),
        **{
            frozenset({name}): replace(said, scale=llr_across.scale, bias=llr_across.bias)
            for name in across.crossing.names
        },
    }
    return (
        replace(
            policy,
            rows=(*policy.rows, replace(row, llr=llr, weight=weight)),
            masks=masks,
            crossing=across.crossing,
            conflict_below=across.conflict_below,
            contracts={**policy.contracts, TEXT: contract},
        ),
        across,
    )


def _floor(policy: Policy, probes: Sequence[Labelled], faces: Sequence[Labelled]) -> float | None:
    rated = [p for p in having(probes, IMAGE) if p.features[IMAGE].quality is not None]
    if not rated:
        return None
    row = policy.rows[0]
    cosines = _cosines(row.place(vectors(rated, IMAGE)), row.place(vectors(faces, IMAGE)))
    found, known = found_first(cosines, *mated_pairs(rated, faces))
    quality = np.array([p.features[IMAGE].quality for p in rated], dtype=np.float64)
    return fit_floor(quality[known], found[known])


def _enrolled(policy: Policy, samples: Sequence[Labelled]) -> FaissGallery:
    """A gallery of everybody."""
    gallery = FaissGallery(policy)
    for sample in samples:
        features = {m: f for m, f in sample.features.items() if m in policy.modalities}
        if features:
            gallery.enrol(
                Template(
                    identity_id=IdentityId(sample.identity_id),
                    template_id=TemplateId(sample.photo),
                    features=features,
                )
            )
    return gallery


def _with_odds(policy: Policy, clean: Sequence[Labelled], rng: np.random.Generator) -> Policy:
    """The policy that knows how often it is right: by faces, and by what only ranks.

    Each person is enrolled by the last photo and then by the first; every photo is searched in both
    galleries, one that is enrolled itself as a stranger's.
    """
    complete = having(clean, *policy.modalities)
    ends = ({s.identity_id: s for s in order} for order in (complete, complete[::-1]))
    enrolled = [[gallery[name] for name in sorted(gallery)] for gallery in ends]
    decisive: list[tuple[Doubles, Names]] = []
    ranking: list[tuple[Doubles, Names]] = []
    for mask in policy.probe_masks:
        probes = [p for p in having(clean, *mask) if mask <= policy.usable(p.features).keys()]
        kind = decisive if policy.masks[mask].may_match else ranking
        for gallery in enrolled:
            cosines = {m: _cosines(_placed(policy, probes, m), _placed(policy, gallery, m)) for m in mask}
            mated, non_mated = mated_pairs(probes, gallery)
            scores = np.where(mated | non_mated, score(policy, mask, cosines).astype(np.float64), -np.inf)
            kind.append((scores, names(probes)))
    odds = fit_probability(decisive, names(enrolled[0]), rng)
    if not ranking:
        return replace(policy, probability=odds)
    weak = fit_probability(ranking, names(enrolled[0]), rng)
    masks = {
        mask: row if row.may_match else replace(row, probability=weak) for mask, row in policy.masks.items()
    }
    return replace(policy, probability=odds, masks=masks)


def _placed(policy: Policy, samples: Sequence[Labelled], modality: Modality) -> Vector:
    return policy.row(modality).place(vectors(samples, modality))


def _cosines(rows: Vector, others: Vector | None = None) -> Doubles:
    """(n, m) float64."""
    return rows.astype(np.float64) @ (rows if others is None else others).astype(np.float64).T


def _auc(mated: Doubles, non_mated: Doubles) -> float:
    from sklearn.metrics import roc_auc_score

    labels = np.repeat([1, 0], [len(mated), len(non_mated)])
    return float(roc_auc_score(labels, np.concatenate([mated, non_mated])))


def summary(fitted: Fitted) -> dict[str, Any]:
    """What a report says of a fit."""
    policy = fitted.policy
    return {
        "policy": policy.policy_id,
        "identities": fitted.identities,
        "photos": fitted.photos,
        "degraded": fitted.degraded,
        "mated_pairs": fitted.mated_pairs,
        "auc_across": None if fitted.auc_across is None else round(fitted.auc_across, 4),
        "quality_floor": policy.rows[0].quality_floor,
        "weight": {row.modality: row.weight for row in policy.rows[1:]},
        "conflict": None
        if fitted.conflict_found is None
        else {"below": policy.conflict_below, "found": round(fitted.conflict_found, 4)},
        "probability": {
            "a": policy.probability.a,
            "b": policy.probability.b,
            "c": policy.probability.c,
        },
    }
