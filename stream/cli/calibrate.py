"""`sightline calibrate`: fits a policy to the operator's own people."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from index.fitting.fit import DEFAULT_TARGET_FPIR, Fitted, fit_policy, summary
from index.fitting.labelled import Labelled
from index.records import IMAGE, TEXT
from stream.cli.bars import step_bars
from stream.cli.console import err, fail, out, print_json
from stream.cli.options import AsJson, settings_with
from stream.cli.running import ending_well
from stream.demo.folders import read_people
from stream.demo.people import LabelledPhoto, Role
from stream.evaluation.degrade import Degradation, Strength
from stream.evaluation.samples import Condition, Sample, extract_all
from stream.policy_file import format_policy
from stream.worker.service import extractors_of

CLEAN = Condition()
WORN = Condition(degradation=Degradation.MIX, strength=Strength.LIGHT)
SPOILT = Condition(degradation=Degradation.MIX, strength=Strength.STRONG)
_DIGEST = 8

PeoplePath = Annotated[
    Path,
    typer.Argument(
        help="A folder of people (DIR/<identity>/<photo>.jpg) or a manifest CSV. Where it says roles, its "
        "enrol rows alone are used: probes and strangers are left for `sightline evaluate`."
    ),
]
Out = Annotated[
    Path, typer.Option("--out", metavar="FILE", help="Write the policy here; it is replaced.", dir_okay=False)
]
Pack = Annotated[str | None, typer.Option("--pack", help="Model pack: see `sightline models list`.")]
TargetFpir = Annotated[
    float | None,
    typer.Option("--target-fpir", help="Share of strangers that may be returned.", min=0.0, max=1.0),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of degradations, folds and draws.")]
About = Annotated[
    str, typer.Option("--about", metavar="TEXT", help="What the policy file is to say of these people.")
]


def calibrate(
    path: PeoplePath,
    out_file: Out,
    pack: Pack = None,
    target_fpir: TargetFpir = None,
    seed: Seed = 0,
    about: About = "",
    as_json: AsJson = False,
) -> None:
    """Fit a policy to labelled people, and write its file: every constant of search and decision.

    At least 20 people need two photos each; descriptions of them make a policy that weighs words. A fit is
    good for people and photos like these: measure it on others with `sightline evaluate --policy FILE`, and
    let workers take it with SIGHTLINE_POLICY.
    """
    settings = settings_with(pack=pack, target_fpir=target_fpir, modalities=(IMAGE, TEXT))
    with ending_well():
        photos = _enrolled(read_people(path))
        extractors = extractors_of(settings)
        with step_bars() as tell:
            clean, *copies = (
                _labelled(
                    extract_all(
                        [(photo.identity_id, photo.photo) for photo in photos],
                        extractors,
                        condition,
                        seed=seed,
                        threads=settings.extract_threads,
                        what=f"photos {condition.name}",
                        progress=tell,
                    )
                )
                for condition in (CLEAN, WORN, SPOILT)
            )
            tell("constants", 0, 1)
            fitted = fit_policy(
                clean,
                [copy for copied in copies for copy in copied],
                policy_id=settings.pack,
                contracts={modality: extractor.contract_id for modality, extractor in extractors.items()},
                target_fpir=settings.target_fpir or DEFAULT_TARGET_FPIR,
                seed=seed,
            )
            tell("constants", 1, 1)
    fitted = _named(fitted)
    _write(out_file, format_policy(fitted.policy, fitted_on=" ".join(filter(None, (_of(fitted), about)))))
    if as_json:
        print_json({"file": str(out_file), **summary(fitted)})
        return
    for name, value in summary(fitted).items():
        out.print(f"{name:<24}{value}")
    err.print(f"wrote {out_file}; measure it with `sightline evaluate PEOPLE --policy {out_file}`")


def _enrolled(photos: Sequence[LabelledPhoto]) -> list[LabelledPhoto]:
    if all(photo.role is None for photo in photos):
        return list(photos)
    return [photo for photo in photos if photo.role is Role.ENROL]


def _labelled(samples: Sequence[Sample]) -> list[Labelled]:
    return [
        Labelled(identity_id=sample.identity_id, photo=sample.photo.name, features=sample.features)
        for sample in samples
    ]


def _named(fitted: Fitted) -> Fitted:
    """The policy's id holds a digest of its constants: two policies of one id are one policy."""
    constants = format_policy(fitted.policy, fitted_on="")
    digest = hashlib.sha256(constants.encode()).hexdigest()[:_DIGEST]
    policy = replace(fitted.policy, policy_id=f"{fitted.policy.policy_id}-{digest}")
    return replace(fitted, policy=policy)


def _of(fitted: Fitted) -> str:
    return (
        f"{fitted.photos} photos of {fitted.identities} identities with {fitted.mated_pairs} pairs of one "
        f"identity, and {fitted.degraded} degraded copies."
    )


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"cannot write {path} ({error.strerror}); give --out another file")
