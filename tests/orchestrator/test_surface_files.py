"""The picture and the table of a decoding surface."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from orchestrator.record import StudyRecord
from orchestrator.surface_files import surface_files, write_surface
from orchestrator.surface_plot import draw_surface
from search_spaces.campaign import StudyDefinition
from search_spaces.space import Axis, Categorical, Float, Int, Space
from tests.orchestrator.made_surface import ALPHA, BEAM, BETA, WIDER, Study


def bowl(**choices):
    """A study of a grid of 5 alphas by 5 betas for every combination of choices, best in the middle."""
    study = Study()
    for alpha in np.linspace(0, 2, 5):
        for beta in np.linspace(-2, 6, 5):
            for width in choices.get("beam_width", (10,)):
                for source in choices.get("source", ("a",)):
                    errors = 1 + 2 * round(abs(alpha - 1) + abs(beta - 2) / 4) + (source != "a")
                    study.add(errors, source=source, alpha=float(alpha), beta=float(beta), beam_width=width)
    return study


def drawn(study, *axes):
    definition = StudyDefinition("decoding", "decoding", Space(axes))
    surface = study.surface(definition.space)
    return draw_surface(definition, StudyRecord("c", "decoding", "decoding", tuple(study.trials)), surface, "a title")


def plots(figure):
    """The panels, without the bar of colours."""
    return figure.axes[:-1]


def labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_two_axes_are_a_map_with_the_best_and_the_promoted_point_and_the_whole_range():
    figure = drawn(bowl(), ALPHA, BETA, BEAM)
    (plot,) = plots(figure)
    assert figure.get_suptitle() == "a title"
    assert (plot.get_xlabel(), plot.get_ylabel()) == ("alpha, weight of ln P_LM", "beta, bonus a word (nats)")
    assert plot.get_xlim()[0] < 0 < 2 < plot.get_xlim()[1]
    assert plot.get_ylim()[0] < -2 < 6 < plot.get_ylim()[1]
    assert labels(figure) == ["within noise", "lowest: #7, 20.0 %", "promoted: #12, 20.0 %"]
    assert [axes.get_ylabel() for axes in figure.axes][-1] == "dev WER (%)"


def test_numbers_to_choose_from_make_the_same_map():
    choices = [Categorical(tuple(np.linspace(*ends, 5).tolist())) for ends in ((0, 2), (-2, 6))]
    chosen = drawn(bowl(), *map(Axis, ("decoding.alpha", "decoding.beta"), choices), BEAM)
    ranged = drawn(bowl(), ALPHA, BETA, BEAM)
    for one, other in zip(plots(chosen), plots(ranged), strict=True):
        assert (one.get_xlim(), one.get_ylim()) == (other.get_xlim(), other.get_ylim())
    assert labels(chosen) == labels(ranged)


def test_what_lies_between_points_is_filled_only_where_they_span_an_area():
    def fillings(study):
        (plot,) = plots(drawn(study, ALPHA, BETA, BEAM))
        return [one for one in plot.collections if "Contour" in type(one).__name__]

    line = Study()
    for step in range(12):
        line.add(step % 3, alpha=step / 6, beta=step / 2, beam_width=10)
    assert len(fillings(bowl())) == 1
    assert fillings(line) == []


def test_every_source_and_choice_has_a_panel_of_its_own_that_says_which():
    figure = drawn(bowl(beam_width=(10, 50), source=("a", "b")), ALPHA, BETA, BEAM)
    assert [plot.get_title() for plot in plots(figure)] == [
        "a\nbeam width 10",
        "a\nbeam width 50",
        "b\nbeam width 10",
        "b\nbeam width 50",
    ]


def test_of_many_panels_the_best_are_drawn_and_the_others_counted():
    widths = tuple(range(10, 22))
    study = bowl(beam_width=widths)
    figure = drawn(study, ALPHA, BETA, Axis("decoding.beam_width", Categorical(widths)))
    assert len(plots(figure)) == 9
    assert figure.get_suptitle() == "a title; 9 of 12 panels, the lowest WER first"


def test_one_axis_is_a_curve_and_of_magnitudes_on_a_scale_of_magnitudes():
    study = Study()
    for alpha in (0.01, 0.1, 1.0, 10.0):
        study.add(2, alpha=alpha)
    figure = drawn(study, Axis("decoding.alpha", Float(0.01, 10.0, log=True)))
    (plot,) = figure.axes
    assert (plot.get_ylabel(), plot.get_xscale()) == ("dev WER (%)", "log")
    assert plot.lines[0].get_xdata().tolist() == [0.01, 0.1, 1.0, 10.0]


def test_a_repeat_is_marked_at_the_point_that_it_repeats():
    study = bowl()
    study.add(0, overrides=WIDER, repeats=3, alpha=0.0, beta=4.0, beam_width=10)
    figure = drawn(study, ALPHA, BETA, BEAM)
    assert labels(figure)[-2:] == [
        "lowest: #25, 0.0 % with wider pruning",
        "promoted: #25, 0.0 % with wider pruning",
    ]
    (plot,) = plots(figure)
    assert plot.collections[-1].get_offsets().tolist() == [[0.0, 4.0]]


def test_three_axes_are_points_without_a_filling_and_other_names_are_their_own_labels():
    study = bowl()
    for number, trial in enumerate(study.trials):
        study.trials[number] = replace(trial, params={**trial.params, "fusion.members": 2 + number % 2})
    figure = drawn(study, ALPHA, Axis("fusion.members", Int(2, 3)), BETA, BEAM)
    (plot,) = plots(figure)
    assert plot.get_ylabel() == "beta, bonus a word (nats)"
    assert not any("Contour" in type(one).__name__ for one in plot.collections)


def test_a_study_of_choices_alone_has_a_table_and_no_picture(tmp_path):
    study = Study()
    for width in (10, 50):
        study.add(1, beam_width=width)
    definition = StudyDefinition("decoding", "decoding", Space((BEAM,)))
    record = StudyRecord("c", "decoding", "decoding", tuple(study.trials))
    write_surface(tmp_path, definition, record, study.errors_of)
    assert [path.name for path in tmp_path.iterdir()] == ["surface.csv"]


def test_the_table_has_every_point_with_its_distance_from_the_lowest_and_the_picture_is_of_print_quality(tmp_path):
    study = bowl()
    study.add(9, overrides={"decoding.method": "greedy"}, alpha=0.0, beta=0.0, beam_width=10)
    study.add(1, overrides=WIDER, repeats=7, alpha=0.5, beta=2.0, beam_width=10)
    study.trials[12] = replace(study.trials[12], promoted=True)
    definition = StudyDefinition("decoding", "decoding", Space((ALPHA, BETA, BEAM)))
    record = StudyRecord("c", "decoding", "decoding", tuple(study.trials), promoted=12)
    surface_files(definition, record, study.errors_of)(tmp_path)
    table = pd.read_csv(tmp_path / "surface.csv").set_index("trial")
    assert len(table) == 27
    assert table.index[0] == 7
    assert table.loc[12, ["promoted", "lowest", "within_noise"]].tolist() == [True, False, True]
    assert table.loc[26, "repeats"] == 7
    assert table.loc[25, "decoding.method"] == "greedy"
    assert table.loc[0, "difference"] == pytest.approx(table.loc[0, "dev_wer"] - table.loc[7, "dev_wer"])
    assert (tmp_path / "surface.png").read_bytes()[16:20] == (1260 * 3 // 4).to_bytes(4, "big")
    assert (tmp_path / "surface.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(("strategy", "promoted"), [("decoding", None), ("baseline", 0)])
def test_a_study_that_has_not_ended_or_trains_has_no_surface_to_show(strategy, promoted):
    record = StudyRecord("c", "s", strategy, promoted=promoted)
    assert surface_files(StudyDefinition("s", strategy), record, lambda trial: None) is None
