"""Fits the constants of the shipped policies on the enrol-role photos of a labelled folder alone.

Probes and strangers are not looked at, so that `sightline evaluate` measures on people and photos the
constants have not seen. 128 identities with two photos are few: these are first constants, with the small
claims that go with that.

    python bench/fit_first_policy.py --text-weights                          # writes the idf numbers
    python bench/fit_first_policy.py --pack faceplugin --pack mobilefacenet  # writes stream/policies
"""

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from labelled_features import DEFAULT_DATA, LabelledSample, labelled_samples
from sklearn.linear_model import LogisticRegression

from index.calibration import fit_affine_llr, with_tails
from index.faiss_gallery import FaissGallery
from index.policy import Affine, MaskRow, ModalityRow, Policy, ProbabilityRow
from index.records import IMAGE, TEXT, IdentityId, Mask, Template, TemplateId
from index.vectors import centre
from stream.demo.folders import read_people
from stream.demo.people import Role
from stream.features.extractor import Extractor
from stream.features.registry import ExtractorConfig, build_extractors
from stream.features.text import fit_weights
from stream.policy_file import format_policy
from stream.worker.settings import Settings

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
STREAM = Path(__file__).parent.parent / "stream"
ENROLLED = frozenset({Role.ENROL})

CLIP = 2.0
LOOK_ALIKES = 20
MARGIN_LLR = math.log(3.0)
"""A match must be three times as likely as every other identity over the threshold."""
FLOOR_SHARE = 0.8
"""The quality floor, as a share of the smallest norm of clean photos: those blurred past use lie there."""
TARGET_FPIR = 0.01
SIZES = (25, 50, 100, 199)
"""Of the sub-galleries that the probability is fitted over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """(S, S) matrices over the S samples that have both modalities."""

    s: Floats
    """Cosine of the images, centred."""
    t: Floats
    """Cosine of the texts; once the text row is fitted, its log-likelihood ratio."""
    mated: Bools
    """Two samples of one identity; no sample with itself."""
    non_mated: Bools
    look_alike: Bools
    """Non-mated, and among the `LOOK_ALIKES` nearest faces of the row's sample."""


def pairs_of(samples: Sequence[LabelledSample], mean: npt.NDArray[np.float32]) -> Pairs:
    """Every pair of samples."""
    e = centre(np.stack([x.features[IMAGE].vector for x in samples]), mean).astype(np.float64)
    x = np.stack([x.features[TEXT].vector for x in samples]).astype(np.float64)
    s, t = e @ e.T, x @ x.T
    names = np.array([sample.identity_id for sample in samples])
    same = names[:, None] == names[None, :]
    nearest = np.argsort(-np.where(same, -np.inf, s), axis=1)[:, :LOOK_ALIKES]
    look_alike = np.zeros_like(same)
    np.put_along_axis(look_alike, nearest, values=True, axis=1)
    mated = same & ~np.eye(len(names), dtype=bool)
    return Pairs(s=s, t=t, mated=mated, non_mated=~same, look_alike=look_alike)


def fit_weight(s: Floats, t: Floats, pairs: Pairs) -> float:
    """The w of f = s + w·t: ratio of the slopes of a logistic regression against look-alikes."""
    asked = pairs.mated | pairs.look_alike
    model = LogisticRegression(C=1e4, max_iter=1000).fit(
        np.stack([s[asked], t[asked]], axis=1), pairs.mated[asked]
    )
    return float(model.coef_[0, 1] / model.coef_[0, 0])


def fit_mask(fused: Floats, pairs: Pairs, *, may_match: bool) -> MaskRow:
    """The affine map of a mask; its tail is fitted when the map is known (`with_tails`)."""
    llr = fit_affine_llr(fused[pairs.mated], fused[pairs.non_mated])
    return MaskRow(
        scale=round(llr.scale, 4), bias=round(llr.bias, 4), may_match=may_match, fallback_threshold=0.0
    )


def enrolled(policy: Policy, samples: Sequence[LabelledSample]) -> FaissGallery:
    """A gallery of everybody."""
    gallery = FaissGallery(policy)
    for sample in samples:
        if sample.features:
            gallery.enrol(
                Template(
                    identity_id=IdentityId(sample.identity_id),
                    template_id=TemplateId(sample.labelled.photo.name),
                    features=sample.features,
                )
            )
    return gallery


def fit_probability(llr: Floats, names: npt.NDArray[np.str_]) -> ProbabilityRow:
    """σ(a·score − b·ln N + c) over sub-galleries of N, every second of them without the probe's identity."""
    identities, first = np.unique(names, return_index=True)
    own = dict(zip(identities, first, strict=True))
    second = [int(np.flatnonzero(names == n)[1]) for n in identities if (names == n).sum() > 1]
    rng = np.random.default_rng(20260)
    rows, right = [], []
    for size in SIZES:
        for turn, probe in enumerate(second * 10):
            others = rng.choice(first[identities != names[probe]], min(size, len(first) - 1), replace=False)
            gallery = np.append(others[1:], own[names[probe]]) if turn % 2 else others
            best = gallery[int(np.argmax(llr[probe, gallery]))]
            rows.append((llr[probe, best], -math.log(len(gallery))))
            right.append(names[best] == names[probe])
    model = LogisticRegression(C=1e4, max_iter=1000).fit(np.array(rows), np.array(right))
    a, b = map(float, model.coef_[0])
    return ProbabilityRow(a=round(a, 4), b=round(b, 4), c=round(float(model.intercept_[0]), 4))


def fit(pack: str, samples: Sequence[LabelledSample], image: Extractor, text: Extractor) -> Policy:
    """The policy of a pack from enrol-role samples."""
    photos = [x.features[IMAGE] for x in samples if IMAGE in x.features]
    floor = FLOOR_SHARE * min(p.quality for p in photos if p.quality is not None)
    mean = np.stack([p.vector for p in photos]).mean(axis=0, dtype=np.float64).round(6).astype(np.float32)

    both = [x for x in samples if IMAGE in x.features and TEXT in x.features]
    pairs = pairs_of(both, mean)
    text_llr = fit_affine_llr(pairs.t[pairs.mated], pairs.t[pairs.look_alike])
    text_llr = Affine(scale=round(text_llr.scale, 4), bias=round(text_llr.bias, 4))
    t = text_llr.scale * pairs.t + text_llr.bias
    clipped = np.clip(t, -CLIP, CLIP)
    weight = round(fit_weight(pairs.s, clipped, pairs), 4)
    masks: dict[Mask, MaskRow] = {
        frozenset({IMAGE}): fit_mask(pairs.s, pairs, may_match=True),
        frozenset({TEXT}): fit_mask(t, pairs, may_match=False),
        frozenset({IMAGE, TEXT}): fit_mask(pairs.s + weight * clipped, pairs, may_match=True),
    }
    alone = masks[frozenset({IMAGE})]
    policy = Policy(
        policy_id=f"{pack}-first-1",
        rows=(
            ModalityRow(
                modality=IMAGE,
                llr=Affine(scale=alone.scale, bias=alone.bias),
                mean=mean,
                quality_floor=round(floor, 2),
            ),
            ModalityRow(modality=TEXT, llr=text_llr, weight=weight, clip=CLIP),
        ),
        masks=masks,
        probability=fit_probability(
            alone.scale * pairs.s + alone.bias, np.array([x.identity_id for x in both])
        ),
        margin=round(MARGIN_LLR, 4),
        # Under everything that two descriptions of one person said here.
        conflict_below=round(float(t[pairs.mated].min()) - 0.05, 2),
        target_fpir=TARGET_FPIR,
        contracts={IMAGE: image.contract_id, TEXT: text.contract_id},
    )
    return with_tails(enrolled(policy, samples).contents())


def write_text_weights(data: Path) -> None:
    """Counts the idf numbers on the captions and writes them into the package."""
    captions = [p.photo.caption for p in read_people(data) if p.role in ENROLLED and p.photo.caption]
    weights = fit_weights(captions, fitted_on=f"{len(captions)} captions of faces (LFW cut, enrol role)")
    document = {"fitted_on": weights.fitted_on, "idf": [round(float(x), 4) for x in weights.idf]}
    path = STREAM / "features" / "text_weights.json"
    path.write_text(json.dumps(document) + "\n", encoding="utf-8")
    print(f"wrote {path}: {weights.contract_id}")


def main() -> None:
    """Reads the arguments, fits, writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--pack", action="append", default=[])
    parser.add_argument("--text-weights", action="store_true")
    args = parser.parse_args()
    cache_dir = Settings().cache_dir
    if args.text_weights:
        write_text_weights(args.data)
    for pack in args.pack:
        extractors = build_extractors([IMAGE, TEXT], ExtractorConfig(cache_dir=cache_dir, pack=pack))
        samples = labelled_samples(args.data, extractors, roles=ENROLLED)
        policy = fit(pack, samples, extractors[IMAGE], extractors[TEXT])
        people = len({x.identity_id for x in samples})
        about = (
            f"{len(samples)} photos of {people} identities (LFW cut, enrol role; captions predicted from the "
            "photos, so what text is worth is optimistic). Few pairs: calibrate on your own data before you "
            "rely on it."
        )
        path = STREAM / "policies" / f"{pack}.json"
        path.write_text(format_policy(policy, fitted_on=about), encoding="utf-8")
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
