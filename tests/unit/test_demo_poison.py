"""Poison does what it says: the service refuses each kind, for its own reason."""

from collections.abc import Mapping

import pytest

from index.records import IMAGE, TEXT, Modality
from stream.demo.poison import RECIPES, Bounds, Ingredients, Poison
from stream.demo.portraits import portrait_jpeg
from stream.features.extractor import Unusable
from stream.features.guards import ImageLimits, inspect_image
from stream.features.text import TextExtractor

TEXTS = TextExtractor()
BOUNDS = Bounds(
    max_image_bytes=1 << 20,
    max_text_chars=TEXTS.max_chars,
    text_contract_id=TEXTS.contract_id,
    text_dimension=TEXTS.dimension,
)
GOOD = Ingredients(bounds=BOUNDS, photo=portrait_jpeg(1)[0], text="This is a young man.")
LIMITS = ImageLimits(max_bytes=BOUNDS.max_image_bytes)


def test_there_is_a_recipe_for_every_kind() -> None:
    """No kind is planned that cannot be made."""
    assert set(RECIPES) == set(Poison)


@pytest.mark.parametrize("kind", [Poison.WRONG_MAGIC, Poison.BOMB, Poison.TRUNCATED])
def test_bad_images_are_refused_before_they_are_decoded(kind: Poison) -> None:
    """The header alone gives them away."""
    recipe = RECIPES[kind]
    found = inspect_image(recipe.content_type, recipe.value(GOOD), LIMITS)
    assert isinstance(found, Unusable)
    assert found.reason == recipe.reason


def test_what_is_too_large_is_so_by_one_byte() -> None:
    """The bound itself is allowed."""
    assert len(RECIPES[Poison.TOO_LARGE].value(GOOD)) == BOUNDS.max_image_bytes + 1


def test_noise_is_a_whole_image() -> None:
    """Nothing is wrong with it but that nobody is in it."""
    recipe = RECIPES[Poison.NO_FACE]
    assert not isinstance(inspect_image(recipe.content_type, recipe.value(GOOD), LIMITS), Unusable)


@pytest.mark.parametrize(
    "kind",
    [Poison.EMPTY_TEXT, Poison.LONG_TEXT, Poison.INVALID_UTF8, Poison.WRONG_CONTRACT, Poison.NAN_VECTOR],
)
def test_bad_texts_are_refused_by_the_extractor(kind: Poison) -> None:
    """Each for its own reason."""
    recipe = RECIPES[kind]
    found = TEXTS.extract(recipe.content_type, recipe.value(GOOD))
    assert isinstance(found, Unusable)
    assert found.reason == recipe.reason


def test_poison_is_spread_over_the_modalities() -> None:
    """Neither topic is spared."""
    by_modality: Mapping[Modality, list[Poison]] = {
        m: [kind for kind, recipe in RECIPES.items() if recipe.modality == m] for m in (IMAGE, TEXT)
    }
    assert all(len(kinds) >= 5 for kinds in by_modality.values())
