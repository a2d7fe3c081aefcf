"""Every enrolled sample as a probe: what it finds when it is left out of its own identity.

Against others a sample is searched as it stands; its own identity is made of the other samples, or it would
find itself.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from index.decision import decide
from index.gallery import Gallery
from index.own_sample import own_score
from index.policy import Policy
from index.records import Candidate, Feature, Mask, Modality, SearchResult, Template, Threshold

RIVALS = 5
"""Others that each sample is compared with: as many as may be worth a line about one sample."""
_Z = 1.959964
"""95 % of a normal distribution lie within so many standard deviations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfSearch:
    """One sample, searched by one mask."""

    template: Template
    mask: Mask
    whole: bool
    """Whether the mask is all the evidence that the sample has."""
    probe: Mapping[Modality, Feature]
    own: Candidate | None
    """Its own identity made of the other samples; None where there are none to compare with."""
    others: tuple[Candidate, ...]
    """The nearest others, best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """What is to be expected of mated searches: own samples, left out, that did not come back."""

    missed: int
    searches: int

    @property
    def fnir(self) -> float:
        """Share that was missed; NaN where nothing was searched."""
        return self.missed / self.searches if self.searches else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """95 % of the share, by Wilson's score (JASA 22, 1927), which also holds where nothing was missed.

        It takes searches for independent; those of one identity are not quite.
        """
        if not self.searches:
            return math.nan, math.nan
        n, share = self.searches, self.fnir
        centre = share + _Z**2 / (2 * n)
        reach = _Z * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
        return max(0.0, (centre - reach) / (1 + _Z**2 / n)), min(1.0, (centre + reach) / (1 + _Z**2 / n))


def self_searches(
    gallery: Gallery, *, on_template: Callable[[Template], None] = lambda _template: None
) -> Iterator[SelfSearch]:
    """Every sample of the gallery, searched by every mask that may match.

    Args:
        gallery: Is not to change meanwhile.
        on_template: Called after each template.
    """
    contents = gallery.contents()
    policy = contents.policy
    for identity in contents.identities.values():
        for template in identity.templates:
            usable = policy.usable(template.features)
            rest = [other for other in identity.templates if other is not template]
            for mask in _deciding(policy):
                if mask <= usable.keys():
                    probe = {modality: usable[modality] for modality in mask}
                    found = gallery.search(probe, RIVALS + 1).candidates
                    yield SelfSearch(
                        template=template,
                        mask=mask,
                        whole=len(mask) == len(usable),
                        probe=probe,
                        own=own_score(policy, probe, rest),
                        others=tuple(c for c in found if c.identity_id != identity.identity_id)[:RIVALS],
                    )
            on_template(template)


def missed(
    searches: Iterable[SelfSearch], thresholds: Mapping[Mask, Threshold], policy: Policy
) -> Mapping[Mask, Missed]:
    """By mask, how many of the own samples the decision would not return as theirs."""
    counts = {mask: [0, 0] for mask in _deciding(policy)}
    for search in searches:
        if search.own is not None:
            candidates = sorted((search.own, *search.others), key=lambda c: -c.score)
            found = SearchResult(candidates=tuple(candidates), version=0, identities=1, templates=1)
            verdict = decide(found, search.probe, thresholds, policy)
            counts[search.mask][0] += verdict.identity_id != search.template.identity_id
            counts[search.mask][1] += 1
    return {mask: Missed(missed=lost, searches=total) for mask, (lost, total) in counts.items()}


def _deciding(policy: Policy) -> list[Mask]:
    return [mask for mask in policy.probe_masks if policy.masks[mask].may_match]
