"""Axes of figures can be read."""

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from morlight.analysis import plots
from morlight.analysis.plots import Reading, label, logarithmic, unit_behind


@pytest.mark.parametrize("ends", [(1, 32), (0.11, 0.14), (0.1, 20), (1, 4), (1e-3, 1e5), (1e-40, 1e40)])
def test_labels_of_a_logarithmic_axis_do_not_overlap_and_there_are_at_least_two(ends):
    figure = Figure(figsize=(3.2, 2.6), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot(np.geomspace(*ends, 30), np.ones(30))
    logarithmic(axes, "x")
    canvas.draw()
    low, high = axes.get_xlim()
    ticks = [*axes.xaxis.get_major_ticks(), *axes.xaxis.get_minor_ticks()]
    boxes = [t.label1.get_window_extent() for t in ticks if t.label1.get_text() and low <= t.get_loc() <= high]
    boxes.sort(key=lambda box: box.x0)
    assert len(boxes) >= 2
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_a_unit_is_written_as_in_print_and_none_is_made_up():
    assert label("density", {"density": "sigma-3"}) == "density (σ⁻³)"
    assert label("momentum", {"momentum": "m sigma tau-1 sigma-3"}) == "momentum (m σ τ⁻¹ σ⁻³)"
    assert label("u", {}) == "u"


def test_a_number_has_no_unit_behind_it_that_only_repeats_its_name():
    assert unit_behind({"time": "tau"}, "time") == " τ"
    assert unit_behind({"time": "time"}, "time") == unit_behind({}, "time") == ""


@pytest.mark.parametrize("band", [(1.0, 1.0), (2.0, 5.0)])
def test_the_wavenumbers_that_the_data_identify_lie_in_an_area_that_is_visible(monkeypatch, band):
    figures = []
    monkeypatch.setattr(plots, "save", lambda figure, path: figures.append(figure))
    k, u = np.arange(9.0), np.linspace(0, 1, 5)
    plots.learned([Reading("u", k, -(k**2)[None], None, u, u[None, None], band=band)], "unused.png")
    (area,) = figures[0].axes[0].patches
    left, right = area.get_window_extent().intervalx
    assert right - left > 5  # pixels
    covered = [kappa for kappa in k if area.get_x() <= kappa <= area.get_x() + area.get_width()]
    assert (covered[0], covered[-1]) == band


@pytest.mark.parametrize("largest", [-1.2e-4, 12345.0, 3.4e9])
def test_the_labels_of_a_panel_stay_in_it_and_do_not_overlap(largest):
    figure, rows = plots.panels(2, 2, (3.4, 2.8))
    for axes in itertools.chain(*rows):
        axes.plot([0, largest], [0, largest])
        axes.set(xlabel="wavenumber |κ| (1/length)", ylabel="decay rate (1/time)", title="t = 1")
    FigureCanvasAgg(figure).draw()
    width, height = figure.get_size_inches() * figure.dpi / 2
    for i, j in itertools.product(range(2), range(2)):
        axes = rows[i][j]
        box = axes.get_tightbbox()
        assert j * width <= box.x0 < box.x1 <= (j + 1) * width
        assert (1 - i) * height <= box.y0 < box.y1 <= (2 - i) * height
        ticks = [label.get_window_extent() for label in axes.get_yticklabels()]
        assert axes.yaxis.label.get_window_extent().x1 < min(tick.x0 for tick in ticks)
        ticks = [label.get_window_extent() for label in axes.get_xticklabels()]
        assert axes.xaxis.label.get_window_extent().y1 < min(tick.y0 for tick in ticks)
