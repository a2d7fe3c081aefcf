"""Portraits of people who do not exist, drawn from seeds: no photos, no assets, no licences.

One seed is a person, a second one a photo of that person. Detectors and face networks take them for faces, so
a machine without photos can run the whole service on any number of identities. They are not photos: impostors
lie much closer to one another than real people do, so a threshold fitted here means nothing there, nor the
reverse.
"""

from stream.demo.portraits.attributes import Attributes, caption
from stream.demo.portraits.render import portrait, portrait_jpeg

__all__ = ["Attributes", "caption", "portrait", "portrait_jpeg"]
