"""The surface of a study drawn: WER over two axes, or along one.

A panel for each set of posteriors and each choice, since weights mean something else there. What lies between the
points is interpolated linearly and only within their hull; the points themselves are drawn over it, since a sampler
scatters them where it hopes for the best. The figure is as wide as a page's text.
"""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation

from orchestrator.record import StudyRecord, TrialRecord
from orchestrator.surface import Surface, extent, is_logarithmic, measures, place_on, surface_of
from search_spaces.campaign import StudyDefinition
from search_spaces.space import Axis, Space

_WIDTH = 6.3  # inches
_PANELS = 9
_LEVELS = 12
_FEWEST = 8  # points that contours are drawn of
_MARGIN = 0.03  # of an axis
_SHOWN = 0.75  # share of the points whose WER the colours tell apart; the worst would take all of the scale
_LABELS = {
    "alpha": "alpha, weight of ln P_LM",
    "beta": "beta, bonus a word (nats)",
    "beam_width": "beam width (hypotheses)",
    "token_min_logp": "token_min_logp (nats)",
    "beam_prune_logp": "beam_prune_logp (nats)",
    "unknown_offset": "unknown_offset (decades)",
    "temperature": "temperature of the posteriors",
    "prior_scale": "prior_scale, share of the log prior",
    "blank_bias": "blank_bias (nats)",
}
_MAP = "viridis"
_MARK = "#d62728"
_POINTS: dict[str, Any] = {"s": 14, "linewidths": 0.5, "zorder": 3}


def draw_surface(study: StudyDefinition, record: StudyRecord, surface: Surface, title: str) -> Figure | None:
    """Draw the points that a study searched, with the best and the promoted one.

    Args:
        study: The study.
        record: Its trials.
        surface: Its flat region.
        title: What stands above it.

    Returns:
        None where no axis was varied that has a measure.
    """
    points = [trial for trial in record.trials if trial.dev_wer is not None and not trial.overrides]
    axes = _varied(study.space, points)
    if not axes:
        return None
    panels: dict[tuple[Any, ...], list[TrialRecord]] = {}
    for trial in sorted(points, key=lambda trial: (trial.dev_wer, trial.number)):
        panels.setdefault(surface_of(study.space, trial), []).append(trial)
    shown = list(panels.values())[:_PANELS]
    columns = min(len(shown), 3 if len(shown) > 4 else 2)
    rows = -(-len(shown) // columns)
    width = _WIDTH if columns > 1 else 0.75 * _WIDTH
    figure = Figure((width, 0.9 + rows * (2.5 if columns < 3 else 2.2)), layout="constrained")
    left_out = f"; {len(shown)} of {len(panels)} panels, the lowest WER first" if len(shown) < len(panels) else ""
    figure.suptitle(title + left_out, fontsize=9)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    colours = _colours([trial.dev_wer or 0.0 for panel in shown for trial in panel])
    for place, panel in zip(grid.flat, shown, strict=False):
        place.tick_params(labelsize=7)
        place.set_title(_name(panel, shown, study.space), fontsize=8)
        _limits(place, axes)
        if len(axes) == 1:
            _curve(place, panel, axes)
        else:
            _contours(place, panel, axes, colours)
        _points(place, panel, axes, surface, colours)
        _marks(place, panel, axes, surface)
    for place in grid.flat[len(shown) :]:
        place.set_axis_off()
    for place in grid[-1]:
        place.set_xlabel(_label(axes[0]), fontsize=8)
    for place in grid[:, 0]:
        place.set_ylabel(_label(axes[1]) if len(axes) > 1 else "dev WER (%)", fontsize=8)
    if len(axes) > 1:
        bar = figure.colorbar(ScalarMappable(colours, _MAP), ax=grid, extend="max", shrink=0.9)
        bar.set_label("dev WER (%)", fontsize=8)
        bar.ax.tick_params(labelsize=7)
    named = [plot.get_legend_handles_labels() for plot in grid.flat]
    legend = {label: handle for handles, labels in named for handle, label in zip(handles, labels, strict=True)}
    figure.legend(legend.values(), legend, loc="outside lower center", ncols=len(legend), fontsize=7, frameon=False)
    return figure


def _varied(space: Space, points: Sequence[TrialRecord]) -> list[Axis]:
    """The axes that measure and were varied, alpha and beta first."""
    found = [axis for axis in space if measures(axis) and len({trial.params.get(axis.name) for trial in points}) > 1]
    first = ("alpha", "beta")
    return sorted(found, key=lambda axis: [_short(axis.name) != name for name in first])


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _label(axis: Axis) -> str:
    return _LABELS.get(_short(axis.name), axis.name)


def _colours(wers: Sequence[float]) -> Normalize:
    low, high = min(wers), float(np.quantile(wers, _SHOWN))
    return Normalize(low, max(high, low + 1.0))


def _name(panel: Sequence[TrialRecord], panels: Sequence[Sequence[TrialRecord]], space: Space) -> str:
    """What sets a panel apart from the others."""
    parts = [_sources(panel[0])] if len({_sources(other[0]) for other in panels}) > 1 else []
    for axis in space:
        value = panel[0].params.get(axis.name)
        differs = len({other[0].params.get(axis.name) for other in panels}) > 1
        if differs and not measures(axis) and not any(str(value) in source for source in parts[:1]):
            parts.append(f"{_short(axis.name).replace('_', ' ')} {value}")
    return "\n".join(parts)


def _sources(trial: TrialRecord) -> str:
    return ", ".join(name for names in trial.needs.values() for name in names)


def _place(trial: TrialRecord, axes: Sequence[Axis]) -> tuple[float, float]:
    """Where a trial lies in its panel."""
    x, *rest = (float(cast(float, trial.params[axis.name])) for axis in axes[:2])
    return x, rest[0] if rest else trial.dev_wer or 0.0


def _limits(plot: Axes, axes: Sequence[Axis]) -> None:
    """Show the whole range that was searched, so that a best point at its edge is seen there."""
    for axis, name in zip(axes, "xy", strict=False):
        low, high = extent(axis)
        if is_logarithmic(axis):
            limits, scale = (low * (low / high) ** _MARGIN, high * (high / low) ** _MARGIN), "log"
        else:
            limits, scale = (low - _MARGIN * (high - low), high + _MARGIN * (high - low)), "linear"
        plot.set(**{f"{name}scale": scale, f"{name}lim": limits})


def _curve(plot: Axes, panel: Sequence[TrialRecord], axes: Sequence[Axis]) -> None:
    x, y = np.array(sorted(_place(trial, axes) for trial in panel)).T
    plot.plot(x, y, color="0.6", linewidth=1, zorder=1)


def _contours(plot: Axes, panel: Sequence[TrialRecord], axes: Sequence[Axis], colours: Normalize) -> None:
    """Fill what lies between the points, if they span an area and nothing else was varied that decides them."""
    found = {_place(trial, axes): trial for trial in reversed(panel)}
    x, y = np.array(list(found)).T
    # neighbours are meant as they are seen: on axes of one length
    seen = np.array([[place_on(axis, trial.params[axis.name]) for axis in axes] for trial in found.values()])
    if len(axes) > 2 or len(found) < _FEWEST or np.linalg.matrix_rank(seen - seen.mean(axis=0), tol=1e-9) < 2:
        return
    try:
        triangles = Triangulation(seen[:, 0], seen[:, 1]).triangles
    except RuntimeError:  # too near to a line after all
        return
    mesh = Triangulation(x, y, triangles)
    levels = np.linspace(colours.vmin or 0.0, colours.vmax or 1.0, _LEVELS)
    wers = [trial.dev_wer or 0.0 for trial in found.values()]
    plot.tricontourf(mesh, wers, levels=levels, norm=colours, cmap=_MAP, extend="both", zorder=1)


def _points(
    plot: Axes, panel: Sequence[TrialRecord], axes: Sequence[Axis], surface: Surface, colours: Normalize
) -> None:
    """Every point; those of the flat region have a black edge."""
    flat = {trial.number for trial in surface.flat}
    for edge, label, inside in (("0.7", "", False), ("black", "within noise", True)):
        trials = [trial for trial in panel if (trial.number in flat) == inside]
        if trials:
            x, y = np.array([_place(trial, axes) for trial in trials]).T
            wers = [trial.dev_wer or 0.0 for trial in trials]
            plot.scatter(x, y, c=wers, norm=colours, cmap=_MAP, edgecolors=edge, label=label, **_POINTS)


def _marks(plot: Axes, panel: Sequence[TrialRecord], axes: Sequence[Axis], surface: Surface) -> None:
    """The best and the promoted trial, if they lie in the panel."""
    inside = {trial.number: trial for trial in panel}
    for trial, marker, size, name in ((surface.best, "o", 90, "lowest"), (surface.middle, "*", 150, "promoted")):
        number = trial.number if trial.repeats is None else trial.repeats
        if number in inside:
            wider = "" if trial.repeats is None else " with wider pruning"
            label = f"{name}: #{trial.number}, {trial.dev_wer:.1f} %{wider}"
            face = "none" if marker == "o" else _MARK
            x, y = _place(inside[number], axes)
            style: dict[str, Any] = {"marker": marker, "edgecolors": _MARK, "linewidths": 1.5, "zorder": 4}
            plot.scatter(x, y, size, face, label=label, **style)
