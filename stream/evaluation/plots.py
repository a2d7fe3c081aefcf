"""The plots of a report, as PNG files in memory: drawn from the report alone."""

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

from matplotlib.figure import Figure

from index.evaluation import Measure
from stream.evaluation.report import Report

SIZE_IN = (7.2, 4.4)
DPI = 110
LEAST = 1e-3
"""Where a logarithmic axis begins: lower rates take more searches than any report has."""

Axes = Any
"""matplotlib ships no types."""


def plots(report: Report) -> Mapping[str, bytes]:
    """Every plot by file name, in the order of the page."""
    made: dict[str, Callable[[Figure], None]] = {
        "cmc.png": lambda figure: _cmc(figure, report),
        "det.png": lambda figure: _det(figure, report),
        "scores.png": lambda figure: _scores(figure, report),
        "conditions.png": lambda figure: _conditions(figure, report),
        "realised_fpir.png": lambda figure: _realised(figure, report),
        "calibration.png": lambda figure: _calibration(figure, report),
    }
    return {name: _png(draw) for name, draw in made.items()}


def _png(draw: Callable[[Figure], None]) -> bytes:
    figure = Figure(figsize=SIZE_IN, dpi=DPI, layout="constrained")
    draw(figure)
    file = BytesIO()
    # Without the writer's name and version the same numbers give the same bytes.
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _cmc(figure: Figure, report: Report) -> None:
    axes = figure.subplots()
    for mask, curve in report.curves.items():
        axes.plot(range(1, len(curve.cmc) + 1), curve.cmc, marker=".", label=mask)
    axes.set(title="CMC, clean", xlabel="rank", ylabel="identification rate", ylim=(0, 1.02))
    axes.set_xticks((1, 5, 10, 15, 20))
    _finish(axes)


def _det(figure: Figure, report: Report) -> None:
    axes = figure.subplots()
    for mask, curve in report.curves.items():
        points = [(f, m) for f, m in zip(curve.fpir, curve.fnir, strict=True) if f >= LEAST]
        if points:
            axes.plot(*zip(*points, strict=True), drawstyle="steps-post", label=mask)
    axes.set(title="DET, clean", xlabel="FPIR", ylabel="FNIR", xscale="log", yscale="log", ylim=(LEAST, 1.1))
    _finish(axes)


def _scores(figure: Figure, report: Report) -> None:
    for axes, (mask, curve) in zip(_side_by_side(figure, report.curves), report.curves.items(), strict=True):
        for counts, label, colour in (
            (curve.mated_right, "mated, right", "tab:green"),
            (curve.mated_wrong, "mated, wrong", "tab:orange"),
            (curve.non_mated, "non-mated", "tab:red"),
        ):
            axes.stairs(counts, curve.score_edges, fill=True, alpha=0.45, color=colour, label=label)
        axes.set(title=mask, xlabel="score of rank 1, nats", ylabel="searches")
        _finish(axes)


def _conditions(figure: Figure, report: Report) -> None:
    axes = figure.subplots()
    masks = [mask for mask in report.curves if any(mask in by for by in report.conditions.values())]
    strictest = list(report.article.fnir_at_fpir)[-1]
    for at, mask in enumerate(masks):
        rows = [(c, by[mask].fnir_at_fpir[strictest]) for c, by in report.conditions.items() if mask in by]
        places = [
            list(report.conditions).index(c) + (at - (len(masks) - 1) / 2) / (len(masks) + 1) for c, _ in rows
        ]
        _errors(axes, places, [one for _, one in rows], mask)
    axes.set_xticks(range(len(report.conditions)), list(report.conditions), rotation=20, ha="right")
    axes.set(title=f"FNIR at FPIR {strictest}, 95 % intervals", ylabel="FNIR", ylim=(0, 1.02))
    _finish(axes)


def _realised(figure: Figure, report: Report) -> None:
    ends = (LEAST * 5, 0.3)
    for axes, (mask, by_size) in zip(
        _side_by_side(figure, report.realised), report.realised.items(), strict=True
    ):
        for at, (size, by_target) in enumerate(by_size.items()):
            asked = [float(target) * (1 + 0.08 * at) for target in by_target]
            _errors(axes, asked, [one.fpir for one in by_target.values()], f"N = {size}")
        axes.plot(ends, ends, color="black", linewidth=0.8)
        axes.set(title=mask, xlabel="FPIR asked", ylabel="realised", xscale="log", yscale="log")
        axes.set(xlim=ends, ylim=(LEAST, 0.5))
        _finish(axes)


def _calibration(figure: Figure, report: Report) -> None:
    axes = figure.subplots()
    for mask, by_size in report.calibration.items():
        size, one = list(by_size.items())[-1]
        said, true, weights = zip(
            *((b.mean_probability, b.share_right, 300 * b.weight) for b in one.bins), strict=True
        )
        axes.plot(said, true, linewidth=0.8)
        label = f"{mask}, N = {size}: error {one.error.value:.3f}"
        axes.scatter(said, true, weights, alpha=0.6, label=label)
    axes.plot((0, 1), (0, 1), color="black", linewidth=0.8)
    axes.set(title="Calibration; areas are shares of searches", xlabel="stated P(rank 1 is right)")
    axes.set(ylabel="share that was right")
    _finish(axes)


def _side_by_side(figure: Figure, one_each: Mapping[str, Any]) -> Axes:
    return figure.subplots(1, len(one_each), squeeze=False)[0] if one_each else ()


def _errors(axes: Axes, places: list[float], measures: list[Measure], label: str) -> None:
    values = [one.value for one in measures]
    below = [max(0.0, one.value - one.low) for one in measures]
    above = [max(0.0, one.high - one.value) for one in measures]
    axes.errorbar(places, values, yerr=(below, above), fmt="o", markersize=4, capsize=2, label=label)


def _finish(axes: Axes) -> None:
    axes.grid(visible=True, alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="x-small")
