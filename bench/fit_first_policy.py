"""Fits the constants of the shipped policies on the enrol-role photos of a labelled folder alone.

Probes and strangers are not looked at, so that `bench/accuracy.py` measures on people and photos the
constants have not seen. 128 identities with two photos are few: these are first constants, with the small
claims that go with that.

    python bench/fit_first_policy.py --text-weights                          # writes the idf numbers
    python bench/fit_first_policy.py --pack faceplugin --pack mobilefacenet  # writes stream/policies
"""

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import platformdirs
from labelled_samples import DEFAULT_DATA, LabelledSample, image_features, read_manifest, text_features
from sklearn.linear_model import LogisticRegression

from index.policy import Affine, MaskRow, ModalityRow, Policy, ProbabilityRow
from index.records import IMAGE, TEXT, Mask
from index.vectors import centre
from stream.features.extractor import Extractor
from stream.features.registry import ExtractorConfig, build_extractors
from stream.features.text import fit_weights
from stream.policy_file import format_policy

Floats = npt.NDArray[np.float64]
PACKAGE = Path(__file__).parent.parent / "stream"

CLIP = 2.0
LOOK_ALIKES = 20
MARGIN_LLR = math.log(3.0)
"""A match must be three times as likely as every other identity over the threshold."""
FLOOR_SHARE = 0.8
"""The quality floor, as a share of the smallest norm of clean photos: those blurred past use lie there."""
TAIL = 0.15
TARGET_FPIR = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Every pair of enrol samples that have both modalities."""

    s: Floats
    """Cosine of the images, centred."""
    t: Floats
    """Cosine of the texts."""
    mated: npt.NDArray[np.bool_]
    look_alike: npt.NDArray[np.bool_]
    """Non-mated, and among the `LOOK_ALIKES` nearest faces of the first sample."""


def logistic(features: Floats, mated: npt.NDArray[np.bool_]) -> tuple[Floats, float]:
    """(K,) slopes and the bias of a log-likelihood ratio: logistic regression with its prior taken out."""
    model = LogisticRegression(C=100.0, max_iter=1000).fit(features, mated)
    prior = math.log(mated.sum() / (~mated).sum())
    return model.coef_[0], float(model.intercept_[0]) - prior


def tail_threshold(best: Floats) -> float:
    """T(f) = u + β·ln(.15/f) over best non-mated scores, one an identity: an exponential tail over u."""
    u = float(np.quantile(best, 1 - TAIL))
    beta = float(np.mean(best[best > u] - u))
    return u + beta * math.log(TAIL / TARGET_FPIR)


def best_non_mated(score: Floats, samples: list[LabelledSample]) -> Floats:
    """For the first sample of each identity, the highest score against anybody else."""
    names = np.array([s.identity for s in samples])
    _, first = np.unique(names, return_index=True)
    return np.where(names[None, :] == names[first][:, None], -np.inf, score[first]).max(axis=1)


def all_pairs(images: Floats, texts: Floats, samples: list[LabelledSample]) -> tuple[Pairs, Floats, Floats]:
    """The pairs, and the two similarity matrices they were taken from."""
    s, t = images @ images.T, texts @ texts.T
    names = np.array([sample.identity for sample in samples])
    same = names[:, None] == names[None, :]
    nearest = np.argsort(-np.where(same, -np.inf, s), axis=1)[:, :LOOK_ALIKES]
    look_alike = np.zeros_like(same)
    np.put_along_axis(look_alike, nearest, values=True, axis=1)
    apart = ~np.eye(len(names), dtype=bool)
    return Pairs(s=s[apart], t=t[apart], mated=same[apart], look_alike=look_alike[apart]), s, t


def fit_probability(llr: Floats, samples: list[LabelledSample]) -> ProbabilityRow:
    """σ(a·score − b·ln N + c) over sub-galleries of 25 to 199, half of them without the probe's identity."""
    names = np.array([s.identity for s in samples])
    identities, first = np.unique(names, return_index=True)
    own = dict(zip(identities, first, strict=True))
    second = [int(np.flatnonzero(names == n)[1]) for n in identities if (names == n).sum() > 1]
    rng = np.random.default_rng(20260)
    rows, right = [], []
    for size in (25, 50, 100, len(identities) - 1):
        for probe in second * 10:
            others = rng.choice(first[identities != names[probe]], size, replace=False)
            gallery = np.append(others[1:], own[names[probe]]) if rng.random() < 0.5 else others
            best = gallery[int(np.argmax(llr[probe, gallery]))]
            rows.append((llr[probe, best], -math.log(size)))
            right.append(names[best] == names[probe])
    model = LogisticRegression(C=100.0, max_iter=1000).fit(np.array(rows), np.array(right))
    a, b = (max(float(x), 1e-3) for x in model.coef_[0])
    return ProbabilityRow(a=round(a, 4), b=round(b, 4), c=round(float(model.intercept_[0]), 4))


def fit(
    pack: str, samples: list[LabelledSample], image: Extractor, text: Extractor, cache_dir: Path
) -> Policy:
    """The policy of a pack from enrol-role samples."""
    photos = image_features(samples, image, cache_dir=cache_dir)
    words = text_features(samples, text)
    vectors = np.stack([p.vector for p in photos if p is not None])
    floor = FLOOR_SHARE * min(p.quality for p in photos if p is not None and p.quality is not None)
    mean = np.round(vectors.mean(axis=0, dtype=np.float64), 6).astype(np.float32)

    both = [i for i, (p, w) in enumerate(zip(photos, words, strict=True)) if p is not None and w is not None]
    kept = [samples[i] for i in both]
    e = centre(np.stack([photos[i].vector for i in both]), mean).astype(np.float64)
    x = np.stack([words[i].vector for i in both]).astype(np.float64)
    pairs, s, t = all_pairs(e, x, kept)

    close = pairs.mated | pairs.look_alike
    (slope,), bias = logistic(pairs.t[close, None], pairs.mated[close])
    text_llr = Affine(scale=round(slope, 4), bias=round(bias, 4))

    def supported(cosine: Floats) -> Floats:
        return np.clip(text_llr.scale * cosine + text_llr.bias, -CLIP, CLIP)

    coefficients, _ = logistic(
        np.stack([pairs.s[close], supported(pairs.t[close])], axis=1), pairs.mated[close]
    )
    weight = round(float(coefficients[1] / coefficients[0]), 4)

    fused: dict[Mask, tuple[Floats, Floats]] = {
        frozenset({IMAGE}): (pairs.s, s),
        frozenset({TEXT}): (text_llr.scale * pairs.t + text_llr.bias, text_llr.scale * t + text_llr.bias),
        frozenset({IMAGE, TEXT}): (pairs.s + weight * supported(pairs.t), s + weight * supported(t)),
    }
    masks, llr_of = {}, {}
    for mask, (of_pairs, matrix) in fused.items():
        (scale,), offset = logistic(of_pairs[:, None], pairs.mated)
        llr_of[mask] = scale * matrix + offset
        masks[mask] = MaskRow(
            scale=round(float(scale), 4),
            bias=round(offset, 4),
            may_match=mask != frozenset({TEXT}),
            fallback_threshold=round(tail_threshold(best_non_mated(llr_of[mask], kept)), 4),
        )
    image_row = masks[frozenset({IMAGE})]
    mated_t = text_llr.scale * pairs.t[pairs.mated] + text_llr.bias
    print(f"{pack}: w {weight}, t of mated pairs {np.quantile(mated_t, [0, 0.01, 0.05, 0.5]).round(2)}")
    for mask, row in masks.items():
        print(f"  {sorted(mask)}: {row}")
    return Policy(
        policy_id=f"{pack}-first-1",
        rows=(
            ModalityRow(
                modality=IMAGE,
                llr=Affine(scale=image_row.scale, bias=image_row.bias),
                mean=mean,
                quality_floor=round(floor, 2),
            ),
            ModalityRow(modality=TEXT, llr=text_llr, weight=weight, clip=CLIP),
        ),
        masks=masks,
        probability=fit_probability(llr_of[frozenset({IMAGE})], kept),
        margin=round(MARGIN_LLR, 4),
        conflict_below=round(float(mated_t.min()) - 0.05, 2),
        target_fpir=TARGET_FPIR,
        contracts={IMAGE: image.contract_id, TEXT: text.contract_id},
    )


def write_text_weights(samples: list[LabelledSample]) -> None:
    """Counts the idf numbers on the captions and writes them into the package."""
    captions = [s.caption for s in samples if s.caption]
    weights = fit_weights(
        captions, fitted_on=f"{len(captions)} captions of photographed people (LFW cut, enrol role)"
    )
    numbers = [round(float(x), 4) for x in weights.idf]
    text = json.dumps({"fitted_on": weights.fitted_on, "idf": numbers})
    (PACKAGE / "features" / "text_weights.json").write_text(text + "\n", encoding="utf-8")
    print(f"text weights {weights.contract_id}")


def main() -> None:
    """Reads the arguments, fits, writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--pack", action="append", default=[])
    parser.add_argument("--text-weights", action="store_true")
    args = parser.parse_args()
    cache_dir = Path(platformdirs.user_cache_dir("sightline"))
    samples = [s for s in read_manifest(args.data) if s.role == "enrol"]
    if args.text_weights:
        write_text_weights(samples)
    for pack in args.pack:
        extractors = build_extractors([IMAGE, TEXT], ExtractorConfig(cache_dir=cache_dir, pack=pack))
        policy = fit(pack, samples, extractors[IMAGE], extractors[TEXT], cache_dir)
        people = len({s.identity for s in samples})
        about = (
            f"{len(samples)} photos of {people} identities (LFW cut, enrol role; captions predicted from the "
            "photos, so what text is worth is optimistic). Few pairs: calibrate on your own data before you "
            "rely on it."
        )
        path = PACKAGE / "policies" / f"{pack}.json"
        path.write_text(format_policy(policy, fitted_on=about), encoding="utf-8")
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
