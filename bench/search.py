"""Search: our gallery beside plain FAISS and numpy, on strangers, with recall beside speed.

What sets every threshold is the best score of somebody who is not enrolled, and an index that is perfect on
enrolled people may miss just that: so the probes are strangers. Contenders take turns within one run, for the
machine's load is theirs alike; times are CPU time of one thread. `--help` names the conditions.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import faiss
import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from index.faiss_gallery import FaissGallery
from index.fusion import score
from index.impostors import Impostors
from index.policy import Affine, MaskRow, ModalityRow, Policy, ProbabilityRow
from index.records import IMAGE, TEXT, ContractId, Feature, IdentityId, Modality, Template, TemplateId, Vector
from index.vectors import centre, unit

CONTRACT = ContractId("synthetic")
Search = Callable[[int], list[int]]
"""Number of a probe -> rows of the K best identities."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """A Gaussian model of an embedding: a common mean, people around it, samples around people.

    Deviations fall as a power of the component's rank, as they do in real embeddings: a population spread
    evenly over all directions has no look-alikes and flatters every index.
    """

    dimension: int
    decay: float = 0.5
    common: float = 0.5
    """Norm of the mean over that of a person's offset."""
    within: float = 0.7
    """Norm of a sample's offset over that of its person's."""

    def draw(self, rng: np.random.Generator, people: int, samples: int) -> Vector:
        """(people, samples, D) float32, rows of unit L2 norm, not centred."""
        deviations = np.arange(1, self.dimension + 1) ** -self.decay
        deviations /= np.linalg.norm(deviations)
        centres = rng.standard_normal((people, 1, self.dimension)) * deviations
        offsets = rng.standard_normal((people, samples, self.dimension)) * (self.within * deviations)
        return unit(self.mean + centres + offsets)

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """(D,): the same in every draw."""
        return np.full(self.dimension, self.common / np.sqrt(self.dimension))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One contender at one size."""

    identities: int
    contender: str
    ms_p50: float
    ms_p95: float
    recall_at_1: float
    recall_at_k: float


def made_policy(population: Population, rng: np.random.Generator) -> Policy:
    """Constants of the order that a calibration finds; speed and recall hardly depend on them."""
    means = {m: np.mean(population.draw(rng, 2000, 1)[:, 0], axis=0) for m in (IMAGE, TEXT)}
    face = MaskRow(scale=20.0, bias=-6.0, may_match=True, fallback_threshold=4.0)
    described = MaskRow(scale=1.0, bias=0.0, may_match=False, fallback_threshold=4.0)
    return Policy(
        policy_id="bench",
        rows=(
            ModalityRow(modality=IMAGE, llr=Affine(scale=20.0, bias=-6.0), mean=means[IMAGE]),
            ModalityRow(
                modality=TEXT, llr=Affine(scale=6.0, bias=-1.0), mean=means[TEXT], weight=0.02, clip=2.0
            ),
        ),
        masks={frozenset({IMAGE}): face, frozenset({IMAGE, TEXT}): face, frozenset({TEXT}): described},
        probability=ProbabilityRow(a=1.0, b=1.0, c=0.0),
        margin=0.5,
        contracts={IMAGE: CONTRACT, TEXT: CONTRACT},
    )


def features(image: Vector, text: Vector) -> Mapping[Modality, Feature]:
    """Both modalities of one sample."""
    return {m: Feature(vector=v, contract_id=CONTRACT) for m, v in ((IMAGE, image), (TEXT, text))}


def enrol(gallery: FaissGallery, images: Vector, texts: Vector) -> float:
    """Enrols everybody with every sample; returns templates per CPU second."""
    began = time.thread_time()
    for person, (person_images, person_texts) in enumerate(zip(images, texts, strict=True)):
        for sample, (image, text) in enumerate(zip(person_images, person_texts, strict=True)):
            gallery.enrol(
                Template(
                    identity_id=IdentityId(f"{person:08}"),
                    template_id=TemplateId(f"{sample}"),
                    features=features(image, text),
                )
            )
    return images.shape[0] * images.shape[1] / (time.thread_time() - began)


def race(
    contenders: Mapping[str, Search], truths: Mapping[str, list[list[int]]], identities: int
) -> list[Row]:
    """Every probe by every contender in turn, against its exact answer in float64."""
    found: dict[str, list[list[int]]] = {name: [] for name in contenders}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for probe in range(len(next(iter(truths.values())))):
        for name, search in contenders.items():
            began = time.thread_time()
            found[name].append(search(probe))
            seconds[name].append(time.thread_time() - began)
    return [
        Row(
            identities=identities,
            contender=name,
            ms_p50=1e3 * float(np.quantile(seconds[name], 0.5)),
            ms_p95=1e3 * float(np.quantile(seconds[name], 0.95)),
            recall_at_1=float(
                np.mean([f[0] == t[0] for f, t in zip(found[name], truths[name], strict=True)])
            ),
            recall_at_k=float(
                np.mean([len({*f} & {*t}) / len(t) for f, t in zip(found[name], truths[name], strict=True)])
            ),
        )
        for name in contenders
    ]


def exact(scores: npt.NDArray[np.float64], k: int) -> list[list[int]]:
    """The rows of the K best of each probe, from all scores in float64."""
    return [list(map(int, np.argsort(-row, kind="stable")[:k])) for row in scores]


def measure(identities: int, args: argparse.Namespace) -> tuple[list[Row], Mapping[str, float]]:
    """All contenders on one gallery, and what changing and calibrating it costs."""
    rng = np.random.default_rng(args.seed)
    population = Population(dimension=args.dimension)
    policy = made_policy(population, rng)
    gallery = FaissGallery(policy)
    templates_per_s = enrol(gallery, *(population.draw(rng, identities, args.samples) for _ in (IMAGE, TEXT)))
    strangers = [
        features(image, text)
        for image, text in zip(
            *(population.draw(rng, args.probes, 1)[:, 0] for _ in (IMAGE, TEXT)), strict=True
        )
    ]
    held = gallery.contents().identities
    means = {
        m: np.stack([held[IdentityId(f"{i:08}")].means[m] for i in range(identities)]) for m in (IMAGE, TEXT)
    }
    probes = {
        m: centre(np.stack([s[m].vector for s in strangers]), policy.row(m).mean) for m in (IMAGE, TEXT)
    }
    cosines = {m: probes[m].astype(np.float64) @ means[m].T.astype(np.float64) for m in (IMAGE, TEXT)}
    image_truth = exact(cosines[IMAGE], args.k)
    flat = faiss.IndexFlatIP(args.dimension)
    flat.add(means[IMAGE])

    def by_gallery(*modalities: Modality) -> Search:
        def search(probe: int) -> list[int]:
            result = gallery.search({m: strangers[probe][m] for m in modalities}, args.k)
            return [int(candidate.identity_id) for candidate in result.candidates]

        return search

    def by_flat(probe: int) -> list[int]:
        return flat.search(probes[IMAGE][probe : probe + 1], args.k)[1][0].tolist()

    def by_numpy(probe: int) -> list[int]:
        similarity = means[IMAGE] @ probes[IMAGE][probe]
        best = np.argpartition(-similarity, args.k)[: args.k]
        return best[np.argsort(-similarity[best])].tolist()

    contenders = {
        "gallery, image": by_gallery(IMAGE),
        "gallery, image+text": by_gallery(IMAGE, TEXT),
        "faiss IndexFlatIP, image": by_flat,
        "numpy, image": by_numpy,
    }
    truths = dict.fromkeys(contenders, image_truth)
    truths["gallery, image+text"] = exact(score(policy, frozenset({IMAGE, TEXT}), cosines), args.k)
    rows = race(contenders, truths, identities)
    return rows, {
        "identities": identities,
        "enrol_templates_per_s": templates_per_s,
        **changes_of(gallery, strangers),
        "stranger_cosine_sd": float(np.std(cosines[IMAGE])),
        "stranger_best_cosine_mean": float(np.mean(np.max(cosines[IMAGE], axis=1))),
    }


def changes_of(gallery: FaissGallery, newcomers: list[Mapping[Modality, Feature]]) -> Mapping[str, float]:
    """What it costs to keep the thresholds: wall time of the batch, mean CPU time of following one change."""
    began = time.perf_counter()
    impostors = Impostors(gallery)
    batch_s = time.perf_counter() - began
    made: dict[str, list[float]] = {"enrol": [], "withdraw": []}
    followed: dict[str, list[float]] = {"enrol": [], "withdraw": []}

    def change(kind: str, identity_id: IdentityId, make: Callable[[], object]) -> None:
        before = gallery.contents().identities.get(identity_id)
        began = time.thread_time()
        make()
        made[kind].append(time.thread_time() - began)
        after = gallery.contents().identities.get(identity_id)
        began = time.thread_time()
        impostors.follow(before, after)
        followed[kind].append(time.thread_time() - began)

    for number, sample in enumerate(newcomers):
        new = Template(identity_id=IdentityId(f"new{number}"), template_id=TemplateId("0"), features=sample)
        change("enrol", new.identity_id, partial(gallery.enrol, new))
    for number in range(len(newcomers)):
        one = IdentityId(f"{number:08}")
        change("withdraw", one, partial(gallery.withdraw, one))
    return {
        "withdraw_identities_per_s": 1.0 / float(np.mean(made["withdraw"])),
        "thresholds_batch_wall_ms": 1e3 * batch_s,
        **{f"thresholds_after_{kind}_ms": 1e3 * float(np.mean(times)) for kind, times in followed.items()},
    }


def main() -> None:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[1_000, 10_000], help="N: identities enrolled"
    )
    parser.add_argument("--dimension", type=int, default=512, help="D of both modalities")
    parser.add_argument("--samples", type=int, default=3, help="templates of an identity")
    parser.add_argument("--probes", type=int, default=200, help="strangers searched")
    parser.add_argument("--k", type=int, default=5, help="K: candidates asked for")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    args = parser.parse_args()
    with threadpool_limits(limits=1):
        measured = [measure(identities, args) for identities in args.sizes]
    conditions = {key: value for key, value in vars(args).items() if key not in ("json", "sizes")}
    conditions |= {"faiss": faiss.__version__, "numpy": np.__version__, "threads": 1}
    rows = [row for searched, _ in measured for row in searched]
    galleries = [gallery for _, gallery in measured]
    if args.json:
        searches = [{field: getattr(row, field) for field in Row.__slots__} for row in rows]
        print(json.dumps({"conditions": conditions, "searches": searches, "galleries": galleries}, indent=2))
        return
    print("Strangers as probes; CPU ms per search, one probe at a time, contenders in turn.")
    print(", ".join(f"{key} {value}" for key, value in conditions.items()))
    print(f"\n{'N':>8}  {'contender':<26}{'p50 ms':>8}{'p95 ms':>8}{'recall@1':>10}{'recall@K':>10}")
    for row in rows:
        print(
            f"{row.identities:>8}  {row.contender:<26}{row.ms_p50:>8.3f}{row.ms_p95:>8.3f}"
            f"{row.recall_at_1:>10.3f}{row.recall_at_k:>10.3f}"
        )
    for gallery in galleries:
        print("\n" + "\n".join(f"{key:<28}{value:>12,.2f}" for key, value in gallery.items()))


if __name__ == "__main__":
    main()
