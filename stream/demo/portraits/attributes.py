"""What is true of a photo, and the sentence that says so."""

from dataclasses import dataclass

from stream.demo.portraits.shot import SMILE_SHOWN, Shot
from stream.demo.portraits.traits import FacialHair, HairColour, Person, Style


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What a witness could say about the photo."""

    man: bool
    older: bool
    smile: bool
    glasses: bool
    facial_hair: FacialHair
    hat: bool
    bald: bool
    receding: bool
    hair_colour: HairColour | None
    """None for a bald head."""
    wavy: bool
    lipstick: bool
    earrings: bool
    necktie: bool
    bags: bool


def attributes_of(person: Person, shot: Shot) -> Attributes:
    """The truth about a person in a photo."""
    bald = person.style is Style.BALD
    return Attributes(
        man=person.man,
        older=person.older,
        smile=shot.expression.smile > SMILE_SHOWN,
        glasses=person.glasses,
        facial_hair=person.facial_hair,
        hat=shot.hat is not None,
        bald=bald,
        receding=person.style is Style.RECEDING,
        hair_colour=None if bald else person.hair_colour,
        wavy=person.hair.wavy and not bald,
        lipstick=person.lipstick,
        earrings=person.earrings,
        necktie=person.necktie,
        bags=person.bags,
    )


def caption(attributes: Attributes) -> str:
    """The attributes as one English sentence; a hat hides what is under it."""
    bare = not attributes.hat
    hair = attributes.hair_colour
    said = (
        (attributes.facial_hair is FacialHair.BEARD, "a beard"),
        (attributes.facial_hair is FacialHair.MOUSTACHE, "a moustache"),
        (attributes.glasses, "glasses"),
        (attributes.hat, "a hat"),
        (attributes.smile, "a smile"),
        (attributes.receding and bare, "receding hairline"),
        (attributes.lipstick, "lipstick"),
        (attributes.earrings, "earrings"),
        (attributes.necktie, "a necktie"),
        (attributes.bags, "bags under the eyes"),
        (hair is not None and bare, f"{hair} hair"),
        (attributes.wavy and bare, "wavy hair"),
        (attributes.bald and bare, "a bald head"),
    )
    features = [words for true, words in said if true]
    who = f"{'an older' if attributes.older else 'a young'} {'man' if attributes.man else 'woman'}"
    return f"This is {who}{_with(features)}."


def _with(features: list[str]) -> str:
    match features:
        case []:
            return ""
        case [only]:
            return f" with {only}"
        case [*first, last]:
            return f" with {', '.join(first)} and {last}"
    return ""
