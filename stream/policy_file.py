"""The policy as a file: versioned JSON to read and edit, bound to the contracts it was fitted for."""

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, overload

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from index.crossing import AgreementRow, Crossing, Projection
from index.errors import PolicyError
from index.policy import Affine, MaskRow, ModalityRow, Policy, ProbabilityRow
from index.records import ContractId, Mask, Modality, Vector
from stream.features.errors import PolicyFileError

SCHEMA_VERSION = 2
_MASK_JOINT = "+"
_MAX_FILE_BYTES = 4 << 20
_NUMBER_LIST = re.compile(r"\[\s*((?:-?[\d.eE+-]+,\s*)*-?[\d.eE+-]+)\s*\]")


class _Form(BaseModel):
    """Unknown fields are errors: a misspelt constant must not be passed over in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Affine(_Form):
    scale: FiniteFloat
    bias: FiniteFloat


class _Modality(_Form):
    modality: str
    contract_id: str
    llr: _Affine
    quality_floor: FiniteFloat | None
    weight: FiniteFloat
    clip: FiniteFloat
    mean: list[FiniteFloat] | None
    scaling: list[FiniteFloat] | None


class _Projection(_Form):
    floor: FiniteFloat
    offset: list[FiniteFloat]
    matrix: list[list[FiniteFloat]]


class _Agreement(_Form):
    described: FiniteFloat
    own: FiniteFloat
    enrolled: FiniteFloat
    bias: FiniteFloat


class _Crossing(_Form):
    face: str
    description: str
    agreement: _Agreement
    agreement_of_faces: _Agreement
    of_face: _Projection
    of_description: _Projection


class _Probability(_Form):
    a: FiniteFloat
    b: FiniteFloat
    c: FiniteFloat


class _Mask(_Form):
    scale: FiniteFloat
    bias: FiniteFloat
    may_match: bool
    fallback_threshold: FiniteFloat
    tail_slope: FiniteFloat = 1.0
    target_fpir: FiniteFloat | None = None
    probability: _Probability | None = None
    """The policy's where it is null."""


class _PolicyForm(_Form):
    """The file."""

    schema_version: Literal[2]
    policy_id: str
    fitted_on: str
    """What the constants were measured on, and what they are not good for."""
    modalities: Annotated[list[_Modality], Field(min_length=1)]
    """By rank; the first is the primary modality."""
    masks: dict[str, _Mask]
    """By the names of their modalities, joined by `+`; a crossing's by its own name."""
    probability: _Probability
    margin: FiniteFloat
    conflict_below: FiniteFloat | None
    target_fpir: FiniteFloat
    crossing: _Crossing | None


def parse_policy(text: str | bytes) -> Policy:
    """The policy that a file's contents say.

    Raises:
        PolicyFileError: It is not JSON of this schema, or the policy contradicts itself.
    """
    try:
        form = _PolicyForm.model_validate_json(text)
        return _to_policy(form)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise PolicyFileError(
            f"not a policy of schema version {SCHEMA_VERSION}: {error.error_count()} faults, the first in "
            f"{where}: {first['msg']}"
        ) from error
    except PolicyError as error:
        raise PolicyFileError(f"the policy contradicts itself: {error}") from error


def format_policy(policy: Policy, *, fitted_on: str) -> str:
    """The file of a policy: `parse_policy` gives the same policy back."""
    form = _PolicyForm(
        schema_version=2,
        policy_id=policy.policy_id,
        fitted_on=fitted_on,
        modalities=[_modality_form(row, policy.contracts[row.modality]) for row in policy.rows],
        masks={
            _mask_name(mask, policy): _Mask(
                scale=row.scale,
                bias=row.bias,
                may_match=row.may_match,
                fallback_threshold=row.fallback_threshold,
                tail_slope=row.tail_slope,
                target_fpir=row.target_fpir,
                probability=None if row.probability is None else _probability_form(row.probability),
            )
            for mask, row in policy.masks.items()
        },
        probability=_probability_form(policy.probability),
        margin=policy.margin,
        conflict_below=policy.conflict_below,
        target_fpir=policy.target_fpir,
        crossing=None if policy.crossing is None else _crossing_form(policy.crossing),
    )
    # A mean has hundreds of numbers: on one line, so that the rest fits on a screen.
    lines = form.model_dump_json(indent=2)
    return _NUMBER_LIST.sub(lambda m: "[" + " ".join(m[1].split()) + "]", lines) + "\n"


def load_policy(path: Path) -> Policy:
    """The policy in a file.

    Raises:
        PolicyFileError: It cannot be read, or is no policy; the message names the file.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise PolicyFileError(
            f"cannot read the policy {path}: {error.strerror}; check SIGHTLINE_POLICY"
        ) from error
    if len(text) > _MAX_FILE_BYTES:
        raise PolicyFileError(f"{path} has more than {_MAX_FILE_BYTES} bytes; a policy has some thousands")
    try:
        return parse_policy(text)
    except PolicyFileError as error:
        raise PolicyFileError(f"{path}: {error}") from error


def shipped_policy(pack: str) -> Policy:
    """The policy that comes with a model pack.

    Raises:
        PolicyFileError: None comes with it.
    """
    folder = resources.files("stream") / "policies"
    file = folder / f"{pack}.json"
    if not re.fullmatch(r"[a-z0-9-]+", pack) or not file.is_file():
        shipped = ", ".join(
            sorted(f.name.removesuffix(".json") for f in folder.iterdir() if f.name.endswith(".json"))
        )
        raise PolicyFileError(
            f"no policy comes with pack {pack!r}, only with {shipped}; name a file in SIGHTLINE_POLICY"
        )
    return parse_policy(file.read_bytes())


def _modality_form(row: ModalityRow, contract_id: ContractId) -> _Modality:
    return _Modality(
        modality=row.modality,
        contract_id=contract_id,
        llr=_Affine(scale=row.llr.scale, bias=row.llr.bias),
        quality_floor=row.quality_floor,
        weight=row.weight,
        clip=row.clip,
        mean=_numbers(row.mean),
        scaling=_numbers(row.scaling),
    )


def _crossing_form(crossing: Crossing) -> _Crossing:
    return _Crossing(
        face=crossing.face,
        description=crossing.description,
        agreement=_agreement_form(crossing.agreement),
        agreement_of_faces=_agreement_form(crossing.agreement_of_faces),
        of_face=_projection_form(crossing.of_face),
        of_description=_projection_form(crossing.of_description),
    )


def _probability_form(row: ProbabilityRow) -> _Probability:
    return _Probability(a=row.a, b=row.b, c=row.c)


def _agreement_form(row: AgreementRow) -> _Agreement:
    return _Agreement(described=row.described, own=row.own, enrolled=row.enrolled, bias=row.bias)


def _projection_form(end: Projection) -> _Projection:
    return _Projection(
        floor=end.floor, offset=_numbers(end.offset), matrix=[_numbers(row) for row in end.matrix]
    )


@overload
def _numbers(vector: Vector) -> list[float]: ...
@overload
def _numbers(vector: None) -> None: ...
def _numbers(vector: Vector | None) -> list[float] | None:
    """As few digits as say the same float32."""
    return None if vector is None else [float(np.format_float_positional(x)) for x in vector]


def _vector(numbers: list[float] | None) -> Vector | None:
    return None if numbers is None else np.array(numbers, dtype=np.float32)


def _to_projection(form: _Projection) -> Projection:
    return Projection(
        matrix=np.array(form.matrix, dtype=np.float32),
        offset=np.array(form.offset, dtype=np.float32),
        floor=form.floor,
    )


def _to_crossing(form: _Crossing) -> Crossing:
    return Crossing(
        face=Modality(form.face),
        description=Modality(form.description),
        agreement=AgreementRow(**form.agreement.model_dump()),
        agreement_of_faces=AgreementRow(**form.agreement_of_faces.model_dump()),
        of_face=_to_projection(form.of_face),
        of_description=_to_projection(form.of_description),
    )


def _to_policy(form: _PolicyForm) -> Policy:
    rows = tuple(
        ModalityRow(
            modality=Modality(m.modality),
            llr=Affine(scale=m.llr.scale, bias=m.llr.bias),
            mean=_vector(m.mean),
            scaling=_vector(m.scaling),
            quality_floor=m.quality_floor,
            weight=m.weight,
            clip=m.clip,
        )
        for m in form.modalities
    )
    contracts: Mapping[Modality, ContractId] = {
        Modality(m.modality): ContractId(m.contract_id) for m in form.modalities
    }
    masks: dict[Mask, MaskRow] = {
        _mask(name): MaskRow(
            scale=m.scale,
            bias=m.bias,
            may_match=m.may_match,
            fallback_threshold=m.fallback_threshold,
            tail_slope=m.tail_slope,
            target_fpir=m.target_fpir,
            probability=None if m.probability is None else ProbabilityRow(**m.probability.model_dump()),
        )
        for name, m in form.masks.items()
    }
    return Policy(
        policy_id=form.policy_id,
        rows=rows,
        masks=masks,
        probability=ProbabilityRow(**form.probability.model_dump()),
        margin=form.margin,
        crossing=None if form.crossing is None else _to_crossing(form.crossing),
        conflict_below=form.conflict_below,
        target_fpir=form.target_fpir,
        contracts=contracts,
    )


def targets_of(
    policy: Policy, target_fpir: float | None, by_mask: Mapping[str, float]
) -> Mapping[Mask, float]:
    """What share of strangers may be returned, for probes of each mask.

    Args:
        policy: Says it where the operator does not.
        target_fpir: The operator's word for all masks; None: there is none.
        by_mask: For some, by the names of their modalities, joined by `+`: it goes before `target_fpir`.

    Raises:
        PolicyError: A name is no mask of the policy.
    """
    asked = {_mask(name): target for name, target in by_mask.items()}
    if stray := asked.keys() - set(policy.probe_masks):
        known = ", ".join(_mask_name(mask, policy) for mask in policy.probe_masks)
        raise PolicyError(
            f"A target FPIR is set for {', '.join(_MASK_JOINT.join(sorted(mask)) for mask in stray)}; policy "
            f"{policy.policy_id} has {known}. Mend SIGHTLINE_TARGET_FPIR_BY_MASK."
        )
    return {
        mask: asked.get(mask, policy.target(mask) if target_fpir is None else target_fpir)
        for mask in policy.probe_masks
    }


def _mask(name: str) -> Mask:
    return frozenset(map(Modality, name.split(_MASK_JOINT)))


def _mask_name(mask: Mask, policy: Policy) -> str:
    return _MASK_JOINT.join(m for m in (*policy.modalities, *policy.crossings) if m in mask)
