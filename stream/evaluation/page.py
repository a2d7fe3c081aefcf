"""The report as one HTML file: plots and photos are inside, nothing is fetched."""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from html import escape

import numpy as np

from stream.demo.people import Photo
from stream.evaluation.changes import Comparison
from stream.evaluation.report import Confusion, Fault, Report
from stream.evaluation.tables import Table, compared, summary, tables
from stream.features.cv import cv2

THUMBNAIL_PX = 150
"""Short side of a photo on the page."""

FAULTS: Mapping[Fault, str] = {
    Fault.STRANGER: "Strangers with the highest scores",
    Fault.WRONG: "Enrolled people who were taken for somebody else",
    Fault.WEAK: "Enrolled people who were found by the lowest scores",
}

STYLE = """
body { font: 15px/1.45 sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: .5rem 0 1rem; font-variant-numeric: tabular-nums }
th, td { border-bottom: 1px solid #ddd; padding: .2rem .7rem .2rem 0; text-align: left }
td { white-space: nowrap }
.plots img { max-width: 49%; } .note { color: #555; max-width: 60rem } .wide { overflow-x: auto }
.case { display: inline-block; margin: 0 1.2rem 1rem 0; vertical-align: top } .case img { height: 9rem }
figure { display: inline-block; margin: 0 .3rem 0 0; font-size: 12px; color: #555; max-width: 12rem }
"""


def page(
    report: Report,
    plots: Mapping[str, bytes],
    *,
    photos: Mapping[str, Photo] | None,
    comparison: Comparison | None,
) -> str:
    """The whole file.

    Args:
        report: What is told.
        plots: PNG files by name.
        photos: By name, those to show beside the confusions; None shows none.
        comparison: With an earlier report, if there is one.

    Raises:
        PeopleError: A photo cannot be read any more.
    """
    images = "".join(_image(png, "image/png", name) for name, png in plots.items())
    parts = (
        f"<h1>Evaluation</h1><p>{escape(summary(report))}</p>",
        _table(compared(comparison)) if comparison else "",
        f'<div class="plots">{images}</div>',
        *map(_table, tables(report)),
        *(_faults(report.confusions, fault, title, photos) for fault, title in FAULTS.items()),
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sightline evaluation</title>'
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _table(table: Table) -> str:
    heads = _cells("th", table.heads)
    rows = "".join(f"<tr>{_cells('td', row)}</tr>" for row in table.rows)
    return (
        f'<h2>{escape(table.title)}</h2><p class="note">{escape(table.note)}</p>'
        f'<div class="wide"><table><tr>{heads}</tr>{rows}</table></div>'
    )


def _cells(tag: str, cells: Iterable[str]) -> str:
    return "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells)


def _faults(
    confusions: Iterable[Confusion], fault: Fault, title: str, photos: Mapping[str, Photo] | None
) -> str:
    cases = "".join(_case(one, photos) for one in confusions if one.fault is fault)
    return f"<h2>{escape(title)}</h2>{cases}" if cases else ""


def _case(one: Confusion, photos: Mapping[str, Photo] | None) -> str:
    shown = [
        (one.photo, f"searched: {one.identity_id}"),
        (one.returned_photo, f"returned: {one.returned_id}, score {one.score:.2f}"),
    ]
    if one.own_photo is not None:
        shown.append((one.own_photo, f"enrolled: {one.identity_id}"))
    figures = "".join(
        f"<figure>{_photo(photos[name]) if photos else ''}<figcaption>{escape(label)}<br>{escape(name)}"
        "</figcaption></figure>"
        for name, label in shown
    )
    return f'<div class="case">{figures}</div>'


def _photo(photo: Photo) -> str:
    image = cv2.imdecode(np.frombuffer(photo.read(), np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        return ""
    height, width = image.shape[:2]
    scale = min(1.0, THUMBNAIL_PX / min(height, width))
    small = cv2.resize(
        image, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA
    )
    _, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 85])
    return _image(bytes(jpeg), "image/jpeg", photo.name)


def _image(data: bytes, media_type: str, name: str) -> str:
    return f'<img alt="{escape(name)}" src="data:{media_type};base64,{b64encode(data).decode()}">'
