"""FPIR asked and realised: galleries drawn many times from labelled people, everybody else their strangers.

Whoever is drawn is enrolled, everybody else is searched by one photo and caption: strangers differ from the
enrolled in nothing but being absent. Two pools: *all* people of the folder, and *unseen*, those whose photos
the policy was not fitted on. Scores are the running gallery's, thresholds the service's. What two people
score does not depend on who else is enrolled, so a draw is a part of one table; the first draw of each size
is checked against a gallery of its own. `--synthetic` adds galleries of Gaussian people (`bench/search.py`).

Realised is the mean over all draws; its 95 % interval is by drawing strangers with replacement, each with all
the draws that he was absent in. *One gallery* is what the middle 80 % of single draws realised. *Held* is the
share of draws whose threshold the strangers confirm within its interval: its low end is reached as often as
asked or more, its high end as often or less.

    python bench/thresholds.py --pack faceplugin --pack mobilefacenet --synthetic 1000 10000 [--json]
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from labelled_features import DEFAULT_DATA, labelled_samples
from search import Population, features, made_policy
from threadpoolctl import threadpool_limits

from index.calibration import thresholds_for, thresholds_of
from index.faiss_gallery import FaissGallery
from index.leave_one_out import evidence_of, in_order
from index.policy import Policy
from index.records import IMAGE, TEXT, IdentityId, Mask, Template, TemplateId, Threshold
from index.roll import Identity
from stream.demo.people import Role
from stream.features.registry import ExtractorConfig, build_extractors
from stream.policy_file import load_policy, shipped_policy
from stream.worker.settings import Settings

Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
FPIRS = (0.1, 0.03, 0.01)
SIZES = (50, 100, 200, 300, 400)
FEWEST_STRANGERS = 150
RESAMPLES = 1000
SYNTHETIC_STRANGERS = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One target, for one mask, at one gallery size."""

    people: str
    mask: str
    identities: int
    draws: int
    strangers: int
    """Searched in each draw."""
    asked: float
    realised: float
    interval: tuple[float, float]
    one_gallery: tuple[float, float]
    held: float
    basis: Mapping[str, int]
    """In how many draws."""

    @property
    def supported(self) -> bool:
        """Whether the thresholds claim that their galleries can show the target."""
        return self.basis.get("gallery", 0) * 2 > self.draws


@dataclass(slots=True, kw_only=True, eq=False)
class Seen:
    """What the draws of one target have shown so far."""

    over: Doubles
    """(draws, people): whether a stranger reached the threshold; NaN where he was enrolled."""
    held: int = 0
    basis: Counter[str] = field(default_factory=Counter)

    def see(self, draw: int, people: npt.NDArray[np.intp], best: Doubles, threshold: Threshold) -> None:
        """Takes the best scores of a draw's strangers in."""
        self.over[draw, people] = best >= threshold.score
        low, high = threshold.interval or (threshold.score, threshold.score)
        self.held += bool(np.mean(best >= low) >= threshold.target_fpir >= np.mean(best >= high))
        self.basis[str(threshold.basis)] += 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """What everybody scores with everybody."""

    policy: Policy
    identities: Sequence[Identity]
    scores: Mapping[Mask, Doubles]
    """(P, P): row's sample against column's template; −∞ where nothing is shared. NaN: row has no sample."""
    unseen: Bools
    """(P,): whether the policy was fitted without them."""


def table_of(data: Path, pack: str, policy_file: Path | None) -> Table:
    """Enrols everybody, and searches everybody by one sample."""
    extractors = build_extractors([IMAGE, TEXT], ExtractorConfig(cache_dir=Settings().cache_dir, pack=pack))
    policy = load_policy(policy_file) if policy_file else shipped_policy(pack)
    gallery = FaissGallery(policy.bound_to({m: e.contract_id for m, e in extractors.items()}))
    strangers = set()
    for sample in labelled_samples(data, extractors, roles=frozenset({Role.ENROL, Role.STRANGER})):
        if sample.features:
            one = Template(
                identity_id=IdentityId(sample.identity_id),
                template_id=TemplateId(sample.labelled.photo.name),
                features=sample.features,
            )
            gallery.enrol(one)
            if sample.labelled.role is Role.STRANGER:
                strangers.add(one.identity_id)
    contents = gallery.contents()
    identities = tuple(contents.identities.values())
    column = {identity.identity_id: number for number, identity in enumerate(identities)}
    deciding = [m for m in contents.policy.probe_masks if contents.policy.masks[m].may_match]
    scores = {mask: np.full((len(identities), len(identities)), np.nan) for mask in deciding}
    for row, identity in enumerate(identities):
        evidence = evidence_of(contents.policy, identity)
        for mask in deciding:
            if mask <= evidence.keys():
                found = gallery.search({m: evidence[m] for m in mask}, len(identities)).candidates
                scores[mask][row] = -np.inf
                scores[mask][row, [column[one.identity_id] for one in found]] = [one.score for one in found]
    return Table(
        policy=contents.policy,
        identities=identities,
        scores=scores,
        unseen=np.array([identity.identity_id in strangers for identity in identities]),
    )


def drawn_rows(table: Table, mask: Mask, pool: str, size: int, draws: int, seed: int) -> Iterator[Row]:
    """Every target, from the same draws."""
    scores = table.scores[mask]
    has = ~np.isnan(scores[:, 0]) & (table.unseen if pool == "unseen" else True)
    people = np.flatnonzero(has)
    if len(people) - size < FEWEST_STRANGERS:
        return
    rng = np.random.default_rng(seed)
    seen = {f: Seen(over=np.full((draws, len(people)), np.nan)) for f in FPIRS}
    for draw in range(draws):
        order = rng.permutation(len(people))
        enrolled, absent = people[order[:size]], people[order[size:]]
        own = scores[np.ix_(enrolled, enrolled)].copy()
        np.fill_diagonal(own, -np.inf)
        impostors = {mask: in_order(own.max(axis=1))}
        best = scores[np.ix_(absent, enrolled)].max(axis=1)
        for f in FPIRS:
            threshold = thresholds_of(table.policy, impostors, f, identities=size)[mask]
            seen[f].see(draw, order[size:], best, threshold)
            if draw == 0:
                check(table, mask, enrolled, f, threshold.score)
    for f in FPIRS:
        yield row_of(pool, mask, size, f, seen[f])


def check(table: Table, mask: Mask, enrolled: npt.NDArray[np.intp], fpir: float, expected: float) -> None:
    """A gallery of the drawn alone gives the same threshold.

    Raises:
        ValueError: It does not.
    """
    gallery = FaissGallery(table.policy)
    for number in enrolled:
        for template in table.identities[number].templates:
            gallery.enrol(template)
    found = thresholds_for(gallery, fpir)[mask].score
    if found != expected:
        raise ValueError(f"the gallery's threshold is {found}, the table's {expected}; one of them is wrong")


def row_of(people: str, mask: Mask, size: int, fpir: float, seen: Seen) -> Row:
    """The means and their spread."""
    over = seen.over
    shares = np.nanmean(over, axis=0)
    absences = np.sum(~np.isnan(over), axis=0)
    rng = np.random.default_rng(20260)
    drawn = rng.multinomial(len(shares), np.full(len(shares), 1 / len(shares)), size=RESAMPLES) * absences
    low, high = np.quantile(drawn @ shares / drawn.sum(axis=1), [0.025, 0.975])
    few, many = np.quantile(np.nanmean(over, axis=1), [0.1, 0.9])
    return Row(
        people=people,
        mask="+".join(sorted(mask)),
        identities=size,
        draws=len(over),
        strangers=int(np.sum(~np.isnan(over[0]))),
        asked=fpir,
        realised=float(np.nanmean(over)),
        interval=(float(low), float(high)),
        one_gallery=(float(few), float(many)),
        held=seen.held / len(over),
        basis=dict(seen.basis),
    )


def synthetic_rows(size: int, draws: int, seed: int) -> Iterator[Row]:
    """Galleries of Gaussian people, one sample each, and 4,000 strangers; all anew in each draw."""
    population = Population(dimension=128)
    masks = (frozenset({IMAGE}), frozenset({IMAGE, TEXT}))
    # Everybody is new in each draw: each stranger is a column of his own.
    everybody = np.arange(draws * SYNTHETIC_STRANGERS).reshape(draws, SYNTHETIC_STRANGERS)
    seen = {(mask, f): Seen(over=np.full((draws, everybody.size), np.nan)) for mask in masks for f in FPIRS}
    for draw in range(draws):
        rng = np.random.default_rng([seed, draw])
        gallery = FaissGallery(made_policy(population, rng))
        samples = [
            features(image, text)
            for image, text in zip(
                *(population.draw(rng, size + SYNTHETIC_STRANGERS, 1)[:, 0] for _ in (IMAGE, TEXT)),
                strict=True,
            )
        ]
        for number, sample in enumerate(samples[:size]):
            gallery.enrol(
                Template(identity_id=IdentityId(f"{number:08}"), template_id=TemplateId("0"), features=sample)
            )
        best = {
            mask: np.array(
                [
                    gallery.search({m: sample[m] for m in mask}, 1).candidates[0].score
                    for sample in samples[size:]
                ]
            )
            for mask in masks
        }
        for f in FPIRS:
            thresholds = thresholds_for(gallery, f)
            for mask in masks:
                seen[mask, f].see(draw, everybody[draw], best[mask], thresholds[mask])
    for (mask, f), shown in seen.items():
        yield row_of("synthetic", mask, size, f, shown)


def measured(args: argparse.Namespace) -> Mapping[str, list[Row]]:
    """All rows, by pack."""
    found: dict[str, list[Row]] = {}
    for pack in args.pack:
        table = table_of(args.data, pack, args.policy)
        found[pack] = [
            row
            for pool in ("all", "unseen")
            for mask in table.scores
            for size in SIZES
            for row in drawn_rows(table, mask, pool, size, args.draws, args.seed)
        ]
    if args.synthetic:
        found["synthetic"] = [
            row for size in args.synthetic for row in synthetic_rows(size, args.synthetic_draws, args.seed)
        ]
    return found


def print_tables(found: Mapping[str, list[Row]]) -> None:
    """For people: a line a size, a column a target."""
    for pack, rows in found.items():
        print(f"\n{pack}: realised / asked FPIR [95 %] (one gallery: middle 80 %), held; * extrapolated")
        print(
            f"{'people':<11}{'mask':<12}{'N':>6}{'draws':>7}  "
            + "".join(f"{f'asked {f:g}':<44}" for f in FPIRS)
        )
        lines: dict[tuple[str, str, int, int], list[str]] = {}
        for row in rows:
            low, high = (end / row.asked for end in row.interval)
            few, many = (end / row.asked for end in row.one_gallery)
            cell = (
                f"{row.realised / row.asked:.2f} [{low:.2f}, {high:.2f}] ({few:.2f} to {many:.2f}), "
                f"{row.held:.2f}{'' if row.supported else ' *'}"
            )
            lines.setdefault((row.people, row.mask, row.identities, row.draws), []).append(f"{cell:<44}")
        for (people, mask, size, draws), cells in lines.items():
            print(f"{people:<11}{mask:<12}{size:>6}{draws:>7}  {''.join(cells)}")


def main() -> None:
    """Reads the arguments, measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--pack", action="append", help="may be given more than once; default faceplugin")
    parser.add_argument("--policy", type=Path, help="a policy file instead of the one shipped with the pack")
    parser.add_argument("--draws", type=int, default=300, help="galleries of each size")
    parser.add_argument("--synthetic", type=int, nargs="*", default=[], help="sizes of Gaussian galleries")
    parser.add_argument("--synthetic-draws", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    args.pack = args.pack or ["faceplugin"]
    with threadpool_limits(limits=1):
        found = measured(args)
    if args.json:
        conditions = {"data": args.data.name, "draws": args.draws, "seed": args.seed}
        rows = {pack: [asdict(row) for row in rows] for pack, rows in found.items()}
        json.dump({"conditions": conditions, "rows": rows}, sys.stdout, indent=2)
        print()
    else:
        print_tables(found)


if __name__ == "__main__":
    main()
