"""What a person should know of a gallery: who is like whom, what is doubtful, how many will be missed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from index.calibration import SMALLEST_GALLERY, TargetFpir, thresholds_of
from index.gallery import Gallery
from index.leave_one_out import impostor_scores
from index.own_sample import OUTLIER_BELOW
from index.policy import Policy
from index.records import IdentityId, Mask, Template, TemplateId, Threshold, Weak
from index.roll import Contents
from index.self_search import Missed, SelfSearch, missed, self_searches


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusable:
    """Two identities, and the sample of one that is most like the other."""

    identity_id: IdentityId
    template_id: TemplateId
    other_id: IdentityId
    other_template_id: TemplateId
    score: float
    threshold: float
    """Of the sample's mask: from it on the sample could be returned as the other."""

    @property
    def over(self) -> bool:
        """Whether it could be."""
        return self.score >= self.threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlier:
    """A sample that is more likely of somebody else than its identity's other samples are."""

    identity_id: IdentityId
    template_id: TemplateId
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakSample:
    """A sample that is no evidence."""

    identity_id: IdentityId
    template_id: TemplateId
    weak: Weak


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRow:
    """What a target FPIR costs probes of one mask."""

    mask: Mask
    threshold: Threshold
    missed: Missed


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryReport:
    """One gallery, searched by itself."""

    identities: int
    templates: int
    targets: tuple[TargetRow, ...]
    confusable: tuple[Confusable, ...]
    outliers: tuple[Outlier, ...]
    weak: tuple[WeakSample, ...]
    single_sample: tuple[IdentityId, ...]

    @property
    def findings(self) -> int:
        """What a person should look at. That somebody has one sample is a fact, not a fault."""
        return sum(pair.over for pair in self.confusable) + len(self.outliers) + len(self.weak)


def check_gallery(
    gallery: Gallery,
    *,
    target_fpir: Mapping[Mask, float],
    others: Sequence[float] = (),
    top: int = 10,
    on_template: Callable[[Template], None] = lambda _template: None,
) -> GalleryReport:
    """The report on a gallery that does not change meanwhile.

    Args:
        gallery: Not empty.
        target_fpir: Of each probe mask: by whose thresholds two identities are confusable.
        others: Further targets to show the price of.
        top: So many pairs are shown though none is confusable.
        on_template: Called after each template.
    """
    contents = gallery.contents()
    searches = list(self_searches(gallery, on_template=on_template))
    impostors = impostor_scores(contents)
    targets: tuple[TargetFpir, ...] = (target_fpir, *others)
    in_use, *more = (
        thresholds_of(contents.policy, impostors, target, identities=len(contents.identities))
        for target in targets
    )
    rows = {
        (-found[mask].target_fpir, *sorted(mask)): TargetRow(mask=mask, threshold=found[mask], missed=counted)
        for found in (in_use, *more)
        for mask, counted in missed(searches, found, contents.policy).items()
    }
    return GalleryReport(
        identities=len(contents.identities),
        templates=gallery.templates,
        targets=tuple(row for _, row in sorted(rows.items(), key=lambda item: item[0])),
        confusable=_confusable(searches, _confusable_from(contents, in_use), contents.policy, at_least=top),
        outliers=_outliers(searches),
        weak=_weak_samples(contents),
        single_sample=_single_samples(contents),
    )


def _confusable_from(contents: Contents, thresholds: Mapping[Mask, Threshold]) -> Mapping[Mask, float]:
    """The threshold of decisions; the policy's constant in a small gallery.

    There a duplicate is so large a share of the leave-one-out searches that it would lift their threshold
    over itself.
    """
    if len(contents.identities) < SMALLEST_GALLERY:
        return {mask: row.fallback_threshold for mask, row in contents.policy.masks.items()}
    return {mask: threshold.score for mask, threshold in thresholds.items()}


def _confusable(
    searches: Iterable[SelfSearch], thresholds: Mapping[Mask, float], policy: Policy, *, at_least: int
) -> tuple[Confusable, ...]:
    """Pairs of identities over the threshold, most alike first; at least the `at_least` most alike of all.

    Only evidence that may match counts, and all that a sample has.
    """
    pairs: dict[frozenset[IdentityId], Confusable] = {}
    for search in searches:
        for other in search.others if search.whole else ():
            if policy.masks[frozenset(other.similarity)].may_match:
                found = Confusable(
                    identity_id=search.template.identity_id,
                    template_id=search.template.template_id,
                    other_id=other.identity_id,
                    other_template_id=other.template_id,
                    score=other.score,
                    threshold=thresholds[search.mask],
                )
                pair = frozenset({found.identity_id, found.other_id})
                if pair not in pairs or (found.over, found.score) > (pairs[pair].over, pairs[pair].score):
                    pairs[pair] = found
    ordered = sorted(pairs.values(), key=lambda p: (not p.over, -p.score, p.identity_id, p.other_id))
    return tuple(pair for rank, pair in enumerate(ordered) if pair.over or rank < at_least)


def _outliers(searches: Iterable[SelfSearch]) -> tuple[Outlier, ...]:
    """Samples unlike the others of their identity, the most unlike first."""
    found = [
        Outlier(
            identity_id=search.template.identity_id,
            template_id=search.template.template_id,
            score=search.own.score,
        )
        for search in searches
        if search.whole and search.own is not None and search.own.score < OUTLIER_BELOW
    ]
    return tuple(sorted(found, key=lambda one: (one.score, one.identity_id, one.template_id)))


def _weak_samples(contents: Contents) -> tuple[WeakSample, ...]:
    """Samples whose quality is under the floor, as a policy other than that of their enrolment sees them."""
    return tuple(
        WeakSample(identity_id=identity.identity_id, template_id=template.template_id, weak=weak)
        for identity in contents.identities.values()
        for template in identity.templates
        for weak in contents.policy.weak(template.features)
    )


def _single_samples(contents: Contents) -> tuple[IdentityId, ...]:
    """Identities with one sample: nobody can tell whether it is of them."""
    return tuple(sorted(i.identity_id for i in contents.identities.values() if len(i.templates) == 1))
