"""The policy that the settings ask for, and the targets."""

from collections.abc import Mapping

from index.policy import Policy
from index.records import ContractId, Mask, Modality
from stream.policy_file import load_policy, shipped_policy, targets_of
from stream.worker.settings import Settings


def policy_of(settings: Settings, contracts: Mapping[Modality, ContractId]) -> Policy:
    """The operator's policy file, else the one shipped with the pack; bound to the extractors' contracts.

    Raises:
        PolicyFileError: There is no such file, or it is no policy.
        ContractError: It was fitted for other vectors.
        PolicyError: It has no row for a modality that the settings ask for.
    """
    policy = load_policy(settings.policy) if settings.policy else shipped_policy(settings.pack)
    for modality in settings.modalities:
        policy.row(modality)
    return policy.bound_to(contracts)


def target_fpirs(settings: Settings, policy: Policy) -> Mapping[Mask, float]:
    """The share of strangers that may be returned, for probes of each mask.

    Raises:
        PolicyError: One is set for a mask that the policy does not have.
    """
    return targets_of(policy, settings.target_fpir, settings.target_fpir_by_mask)
