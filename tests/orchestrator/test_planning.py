import json
import shutil
from dataclasses import replace

import pytest

from orchestrator import planning
from orchestrator.planning import data_fingerprints, definition_of, first_points, make_spec, model_points
from orchestrator.record import StudyRecord
from orchestrator.sampling import Claim
from orchestrator.start import Start, outside_ingredient, pinned_start, resolve_start
from search_spaces.campaign import SamplerSettings
from search_spaces.errors import CheckpointError, UserError
from search_spaces.space import Axis, Categorical, Float, Int, Space
from trainers.model.own import source_digest
from trainers.spec import Ingredient
from trainers.store import Store


def claim(params=None, overrides=None, number=0):
    return Claim(number, params or {}, overrides or {}, "")


@pytest.fixture
def campaign(tiny_campaign):
    return tiny_campaign.read()


@pytest.fixture
def data(campaign):
    return data_fingerprints(campaign)


def test_a_spec_holds_every_setting_its_strategy_uses_and_no_other(campaign, data):
    spec = make_spec(campaign, campaign.studies["baseline"], claim({"train.lr": 0.025}), Start(), data)
    assert spec.settings["train"]["lr"] == 0.025
    assert spec.settings["train"]["epochs"] == 4
    assert spec.settings["model"]["encoder"] == "bilstm"
    assert set(spec.settings) == {"units", "features", "model", "train"}
    assert set(spec.data) == {"train", "dev"}


def test_a_spec_is_plain_values(campaign, data):
    for study in campaign.studies.values():
        start = Start({need: (Ingredient("baseline", campaign.path, "k", 0),) for need in study.needs})
        json.dumps(make_spec(campaign, study, claim({"decoding.posteriors": "baseline"}), start, data).settings)


def test_the_key_follows_settings_and_data_and_not_names(campaign, data):
    study = campaign.studies["baseline"]
    one = make_spec(campaign, study, claim({"train.lr": 0.02}), Start(), data)
    assert (
        make_spec(campaign, replace(study, name="other"), claim({"train.lr": 0.02}, number=7), Start(), data).key
        == one.key
    )
    assert make_spec(campaign, study, claim({"train.lr": 0.021}), Start(), data).key != one.key
    assert make_spec(campaign, study, claim({"train.lr": 0.02}), Start(), {**data, "dev": "x"}).key != one.key


def test_a_moved_text_changes_neither_key_nor_definition_and_a_changed_one_changes_both(tiny_campaign):
    def state():
        campaign = tiny_campaign.read()
        data = data_fingerprints(campaign)
        study = campaign.studies["decoding"]
        start = Start({"posteriors": (Ingredient("baseline", campaign.path, "k", 0),)})
        spec = make_spec(campaign, study, claim({"decoding.posteriors": "baseline"}), start, data)
        return spec.key, definition_of(campaign, study, data)

    before = state()
    old = tiny_campaign.folder / "text.txt"
    shutil.move(old, tiny_campaign.folder / "moved.txt")
    tiny_campaign.rewrite(str(old), str(tiny_campaign.folder / "moved.txt"))
    assert state() == before
    (tiny_campaign.folder / "moved.txt").write_text("GO GO\nSTOP\nYES NO\n", encoding="utf-8")
    key, definition = state()
    assert key != before[0]
    assert definition != before[1]


def test_a_decoding_trial_takes_the_one_source_it_chose(campaign, data):
    sources = tuple(Ingredient(name, campaign.path, name, 0) for name in ("baseline", "self_distillation"))
    chosen = claim({"decoding.posteriors": "self_distillation"})
    spec = make_spec(campaign, campaign.studies["decoding"], chosen, Start({"posteriors": sources}), data)
    assert [source.name for source in spec.needs["posteriors"]] == ["self_distillation"]
    assert spec.settings["decoding"]["method"] == "beam"


def test_greedy_decoding_of_every_source_comes_before_the_enqueued_points(campaign):
    study = replace(campaign.studies["decoding"], enqueue=({"decoding.alpha": 0.5},))
    points = first_points(study)
    assert [point.overrides for point in points] == [
        {"decoding.method": "greedy", "decoding.posteriors": "baseline"},
        {"decoding.method": "greedy", "decoding.posteriors": "self_distillation"},
        {},
    ]
    assert points[0].params == {"decoding.posteriors": "baseline", "decoding.alpha": 0.0, "decoding.beta": 0.0}
    assert points[2].params == {"decoding.alpha": 0.5}


def test_a_grid_is_queued_whole_without_the_points_that_are_enqueued_already(campaign):
    space = Space((Axis("train.lr", Float(0.01, 0.03, step=0.01)), Axis("model.layers", Int(1, 2))))
    study = replace(
        campaign.studies["baseline"],
        space=space,
        sampler=SamplerSettings(kind="grid"),
        enqueue=({"train.lr": 0.02, "model.layers": 1},),
    )
    points = [tuple(point.params.values()) for point in first_points(study)]
    assert sorted(points) == [(lr, layers) for lr in (0.01, 0.02, 0.03) for layers in (1, 2)]
    assert points[0] == (0.02, 1)


def test_a_reference_stands_at_the_point_nearest_to_no_effect(campaign):
    space = Space(
        (
            Axis("decoding.alpha", Float(0.3, 1.0)),
            Axis("decoding.beta", Float(-4.0, -1.0)),
            Axis("decoding.beam_width", Categorical((10, 20))),
            Axis("decoding.temperature", Float(0.5, 2.0)),
        )
    )
    point = first_points(replace(campaign.studies["decoding"], space=space))[0]
    values = {"decoding.alpha": 0.3, "decoding.beta": -1.0, "decoding.beam_width": 10, "decoding.temperature": 1}
    assert point.params == values


def test_inherited_parameters_lie_below_the_studys_own(campaign, data):
    study = campaign.studies["self_distillation"]
    start = Start({"teacher": (Ingredient("baseline", campaign.path, "k", 0),)}, {"train.lr": 0.015})
    assert make_spec(campaign, study, claim(), start, data).settings["train"]["lr"] == 0.015
    fixed = replace(study, fixed={"train.lr": 0.011})
    assert make_spec(campaign, fixed, claim(), start, data).settings["train"]["lr"] == 0.011


def test_a_start_survives_being_written_down(tmp_path):
    store = Store(tmp_path)
    start = Start({"teacher": (Ingredient("baseline", store.path("checkpoints", "k"), "k", 3),)}, {"train.lr": 0.5})
    assert pinned_start(json.loads(json.dumps(start.plain())), store) == start


OWN = "{class: 'tests.trainers.own_modules:Gru', args: {hidden: 8}}"


def own_campaign(tiny_campaign, own=OWN):
    tiny_campaign.rewrite("{encoder: bilstm, layers: 1, hidden: 16, dropout: 0.1}", own)
    return tiny_campaign.read()


def test_a_class_and_its_arguments_reach_the_spec_and_its_file_the_key(tiny_campaign, data, monkeypatch):
    campaign = own_campaign(tiny_campaign)
    study = campaign.studies["baseline"]
    study = replace(study, space=Space((*study.space.axes, Axis("model.args.dropout", Float(0.0, 0.5)))))
    point = {"train.lr": 0.02, "model.args.dropout": 0.25}
    spec = make_spec(campaign, study, claim(point), Start(), data)
    path = "tests.trainers.own_modules:Gru"
    assert spec.settings["model"] == {"class": path, "args": {"hidden": 8, "dropout": 0.25}, "blank": 0}
    assert spec.data == {"train": data["train"], "dev": data["dev"], "model": source_digest(path)}
    assert definition_of(campaign, study, data)["data"] == spec.data
    monkeypatch.setattr(planning, "source_digest", lambda *paths: "changed")
    assert make_spec(campaign, study, claim(point), Start(), data).key != spec.key
    assert definition_of(campaign, study, data)["data"]["model"] == "changed"


def test_classes_that_are_searched_are_all_looked_at_and_all_decide_the_definition(tiny_campaign, data):
    tiny_campaign.rewrite("model: {encoder: bilstm, layers: 1, hidden: 16, dropout: 0.1}\n", "")
    campaign = tiny_campaign.read()
    paths = ("tests.trainers.own_modules:Gru", "tests.trainers.own_modules:Picky")
    axes = (Axis("model.class", Categorical(paths)), Axis("model.args.hidden", Int(4, 8)))
    study = replace(campaign.studies["baseline"], space=Space(axes))
    points = [{"model.class": path, "model.args.hidden": 4} for path in paths]
    assert model_points(campaign, study) == points
    assert definition_of(campaign, study, data)["data"]["model"] == source_digest(*paths)
    point = {"model.class": paths[1], "model.args.hidden": 6}
    assert make_spec(campaign, study, claim(point), Start(), data).settings["model"]["args"] == {"hidden": 6}
    student = replace(campaign.studies["self_distillation"], inherit="baseline")
    inheriting = replace(campaign, studies={**campaign.studies, "baseline": study})
    assert model_points(inheriting, student) == points


def test_an_encoder_has_no_file_in_its_key(campaign, data):
    assert model_points(campaign, campaign.studies["baseline"]) == [{}]
    assert "model" not in definition_of(campaign, campaign.studies["baseline"], data)["data"]


def test_a_study_cannot_start_from_one_without_a_complete_trial(campaign, tmp_path):
    empty = {"baseline": StudyRecord("tiny", "baseline", "baseline")}
    with pytest.raises(UserError, match="self_distillation needs baseline, which has no complete trial"):
        resolve_start(campaign.studies["self_distillation"], empty, Store(tmp_path))


def test_a_folder_without_a_checkpoint_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        outside_ingredient(str(tmp_path), Store(tmp_path / "store"))
