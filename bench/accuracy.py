"""Open-set identification on labelled people: rank-1, and FNIR at a target FPIR, for each mask of modalities.

Enrols the enrol rows of a manifest into the gallery that runs, and searches its probes (mated) and strangers
(non-mated). Two kinds of threshold: *strangers*, the score that a share f of these very strangers reach,
which compares encoders; and *product*, what the service derives from its own gallery by leave-one-out, which
is what an operator gets. Intervals are 95 %, by drawing identities with replacement.

    python bench/accuracy.py --pack faceplugin [--json]
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from labelled_features import DEFAULT_DATA, LabelledSample, labelled_samples

from index.calibration import thresholds_for
from index.decision import decide
from index.faiss_gallery import FaissGallery
from index.records import IMAGE, TEXT, Candidate, IdentityId, Mask, Outcome, Template, TemplateId
from stream.demo.article import Appearance, baseline
from stream.demo.people import Person, Role
from stream.demo.score import Answer, Rates, rates
from stream.features.networks import Backend
from stream.features.registry import ExtractorConfig, build_extractors
from stream.policy_file import load_policy, shipped_policy
from stream.worker.settings import Settings

Floats = npt.NDArray[np.float64]
FPIRS = (0.1, 0.03, 0.01)
MASKS: Mapping[str, Mask] = {
    "image+text": frozenset({IMAGE, TEXT}),
    "image": frozenset({IMAGE}),
    "text": frozenset({TEXT}),
}
CANDIDATES = 5
RESAMPLES = 1000
ROLES = frozenset({Role.ENROL, Role.PROBE, Role.STRANGER})


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One probe with one mask, and the best that the gallery found; without a feature that is nobody."""

    sample: LabelledSample
    mated: bool
    best: Candidate | None

    @property
    def score(self) -> float:
        """Of rank 1."""
        return -np.inf if self.best is None else self.best.score

    @property
    def right(self) -> bool:
        """Whether rank 1 is the probe's identity."""
        return self.mated and self.best is not None and self.best.identity_id == self.sample.identity_id


def enrolled_gallery(samples: Sequence[LabelledSample], gallery: FaissGallery) -> None:
    """Enrols every enrol-role sample that has a feature."""
    for sample in samples:
        if sample.labelled.role is Role.ENROL and sample.features:
            gallery.enrol(
                Template(
                    identity_id=IdentityId(sample.identity_id),
                    template_id=TemplateId(sample.labelled.photo.name),
                    features=sample.features,
                )
            )


def searches(samples: Sequence[LabelledSample], gallery: FaissGallery, mask: Mask) -> list[Search]:
    """Every probe and stranger, searched by what it has of the mask."""
    found = []
    for sample in samples:
        if sample.labelled.role is not Role.ENROL:
            probe = {m: f for m, f in sample.features.items() if m in mask}
            candidates = gallery.search(probe, 1).candidates if probe else ()
            mated = sample.labelled.role is Role.PROBE
            found.append(Search(sample=sample, mated=mated, best=candidates[0] if candidates else None))
    return found


def fnir_at(
    fpir: float, scores: Floats, weights: Floats, mated: npt.NDArray[np.bool_], right: npt.NDArray[np.bool_]
) -> float:
    """1 − P(rank 1 right, and its score over what a share `fpir` of the weighted strangers reach)."""
    order = np.argsort(-scores[~mated], kind="stable")
    reached = np.cumsum(weights[~mated][order])
    allowed = int(np.searchsorted(reached, fpir * reached[-1], side="right"))
    threshold = scores[~mated][order][min(allowed, len(order) - 1)]
    accepted = right[mated] & (scores[mated] > threshold)
    return 1.0 - float(np.average(accepted, weights=weights[mated]))


def with_interval(measure: Callable[[Floats], float], identities: npt.NDArray[np.str_]) -> dict[str, Any]:
    """A measure of weights, one a search, with its 95 % interval over identities drawn with replacement."""
    names, of_search = np.unique(identities, return_inverse=True)
    rng = np.random.default_rng(20260)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=RESAMPLES)
    spread = [measure(weights[of_search].astype(np.float64)) for weights in drawn]
    low, high = np.quantile(spread, [0.025, 0.975])
    value = measure(np.ones(len(identities)))
    return {"value": round(value, 4), "interval": [round(float(low), 4), round(float(high), 4)]}


def mask_report(found: Sequence[Search]) -> dict[str, Any]:
    """Rank-1 and FNIR at the strangers' own quantile."""
    mated = np.array([s.mated for s in found])
    right = np.array([s.right for s in found])
    scores = np.array([s.score for s in found])
    names = np.array([s.sample.identity_id for s in found])
    return {
        "rank1": with_interval(lambda w: float(np.average(right[mated], weights=w[mated])), names),
        "fnir_at_fpir": {
            str(f): with_interval(lambda w, f=f: fnir_at(f, scores, w, mated, right), names) for f in FPIRS
        },
    }


def product_report(
    samples: Sequence[LabelledSample], gallery: FaissGallery, mask: Mask, target_fpir: float
) -> dict[str, Any]:
    """What the service would decide at a target FPIR: its own threshold, margin and conflict rule."""
    thresholds = thresholds_for(gallery, target_fpir)
    answers = []
    for sample in samples:
        if sample.labelled.role is Role.ENROL:
            continue
        probe = {m: f for m, f in sample.features.items() if m in mask}
        truth = sample.identity_id if sample.labelled.role is Role.PROBE else None
        if not probe:
            answers.append(Answer(truth=truth, best=None, returned=False, matched=None))
            continue
        verdict = decide(gallery.search(probe, CANDIDATES), probe, thresholds, gallery.contents().policy)
        answers.append(
            Answer(
                truth=truth,
                best=verdict.candidates[0].identity_id if verdict.candidates else None,
                returned=verdict.outcome in {Outcome.MATCH, Outcome.AMBIGUOUS},
                matched=verdict.identity_id,
            )
        )
    found = rates(answers)
    return {
        "threshold": round(thresholds[mask].score, 4),
        "basis": str(thresholds[mask].basis),
        "fnir": _rounded(found.fnir),
        "fpir": _rounded(found.fpir),
    }


def article_report(samples: Sequence[LabelledSample]) -> dict[str, Any]:
    """The founding article's pipeline on the same probes with both modalities."""
    enrolled: dict[str, list[LabelledSample]] = {}
    for sample in samples:
        if sample.labelled.role is Role.ENROL:
            enrolled.setdefault(sample.identity_id, []).append(sample)
    persons = [
        Person(identity_id=name, enrolled=tuple(s.labelled.photo for s in of_name), probes=())
        for name, of_name in enrolled.items()
    ]
    probes = [
        Appearance(
            photo=s.labelled.photo,
            mask=MASKS["image+text"],
            truth=s.identity_id if s.labelled.role is Role.PROBE else None,
        )
        for s in samples
        if s.labelled.role is not Role.ENROL
    ]
    found: dict[float, Rates] = {f: baseline(persons, probes, target_fpir=f) for f in FPIRS}
    return {
        "rank1": _rounded(found[FPIRS[0]].rank1),
        "fnir_at_fpir": {str(f): _rounded(r.fnir) for f, r in found.items()},
    }


def report(args: argparse.Namespace) -> dict[str, Any]:
    """Everything, as one JSON object."""
    started = time.perf_counter()
    config = ExtractorConfig(cache_dir=Settings().cache_dir, pack=args.pack, backend=Backend(args.backend))
    extractors = build_extractors([IMAGE, TEXT], config)
    samples = labelled_samples(args.data, extractors, roles=ROLES)
    policy = load_policy(args.policy) if args.policy else shipped_policy(args.pack)
    gallery = FaissGallery(policy.bound_to({m: e.contract_id for m, e in extractors.items()}))
    enrolled_gallery(samples, gallery)
    roles = [s.labelled.role for s in samples]
    masks = {}
    for name, mask in MASKS.items():
        masks[name] = mask_report(searches(samples, gallery, mask))
        masks[name]["product"] = {str(f): product_report(samples, gallery, mask, f) for f in FPIRS}
    return {
        "data": args.data.name,
        "pack": args.pack,
        "contracts": {m: e.contract_id for m, e in extractors.items()},
        "policy": policy.policy_id,
        "gallery": {"identities": len(gallery), "templates": gallery.templates},
        "searches": {"mated": roles.count(Role.PROBE), "non_mated": roles.count(Role.STRANGER)},
        "masks": masks,
        "article": article_report(samples),
        "seconds": round(time.perf_counter() - started, 1),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _cell(measured: dict[str, Any]) -> str:
    low, high = measured["interval"]
    return f"{measured['value']:.4f} [{low:.3f}, {high:.3f}]"


def print_table(found: dict[str, Any]) -> None:
    """The report for people."""
    searched, gallery = found["searches"], found["gallery"]
    print(
        f"{found['data']}, pack {found['pack']}, policy {found['policy']}: N = {gallery['identities']} "
        f"({gallery['templates']} templates), {searched['mated']} mated and {searched['non_mated']} "
        "non-mated searches, 95 % intervals"
    )
    heads = "".join(f"{f'FNIR @ FPIR {f}':<25}" for f in FPIRS)
    print(f"{'':<12}{'rank-1':<25}{heads}")
    for name, row in found["masks"].items():
        cells = "".join(f"{_cell(row['fnir_at_fpir'][str(f)]):<25}" for f in FPIRS)
        print(f"{name:<12}{_cell(row['rank1']):<25}{cells}")
    article = found["article"]
    cells = "".join(f"{article['fnir_at_fpir'][str(f)]:<25.4f}" for f in FPIRS)
    print(f"{'article':<12}{article['rank1']:<25.4f}{cells}")
    print("\nthe service's own threshold: FNIR / FPIR realised")
    for name, row in found["masks"].items():
        cells = "".join(
            f"{p['fnir']:.4f} / {p['fpir']:.4f}          " for p in (row["product"][str(f)] for f in FPIRS)
        )
        print(f"{name:<37}{cells}")


def main() -> None:
    """Reads the arguments, measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--pack", default="faceplugin")
    parser.add_argument("--backend", choices=[b.value for b in Backend], default=Backend.ONNXRUNTIME.value)
    parser.add_argument("--policy", type=Path, help="a policy file instead of the one shipped with the pack")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    found = report(args)
    if args.json:
        json.dump(found, sys.stdout, indent=2)
        print()
    else:
        print_table(found)


if __name__ == "__main__":
    main()
