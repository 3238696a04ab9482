import importlib
import inspect
import json
import sys
import types

import pytest
from pydantic import ValidationError

from search_spaces.axes.section import Section
from search_spaces.axes.settings import Settings, overlay, with_sections
from search_spaces.sealing import SealedFile
from trainers import strategies
from trainers.data.sealed import SealedSet
from trainers.pipeline import recognise, run_trial
from trainers.scoring.scorer import PLAIN
from trainers.store import Store
from trainers.strategies import catalogue, find_strategy, sections, strategy_names
from trainers.strategy import Strategy, TrainingStrategy

NAMES = strategy_names()
FULL = with_sections(sections())

# what every strategy promises, whoever wrote it: a new file in trainers/strategies is tested by these unasked


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def schema(name):
    return catalogue()[name]


def fields_of(section):
    """Dotted names of a section's settings; of a setting that is no section its own name."""
    field = FULL.model_fields[section]
    kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
    inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)), None)
    return [section] if inner is None else [f"{section}.{setting}" for setting in inner.model_fields]


def listened_to(schema):
    return [setting for axis in schema.axes for setting in ([axis] if "." in axis else fields_of(axis))]


def test_the_strategies_that_come_with_the_project_are_found():
    assert {"baseline", "self_distillation", "decoding"} <= set(NAMES)
    assert list(catalogue()) == NAMES == sorted(NAMES)


def test_the_schema_has_the_name_of_the_file_and_the_class_its_capitals(name, schema):
    kind = find_strategy(name)
    assert schema.name == name
    assert kind.__module__ == f"trainers.strategies.{name}"
    assert kind.__name__ == "".join(part.capitalize() for part in name.split("_"))
    assert issubclass(kind, Strategy)
    assert not inspect.isabstract(kind)


def test_it_trains_exactly_if_it_says_so(name, schema):
    assert schema.trains == issubclass(find_strategy(name), TrainingStrategy)


def test_a_reader_is_told_what_it_is(name, schema):
    module = importlib.import_module(f"trainers.strategies.{name}")
    assert module.__doc__
    assert find_strategy(name).__doc__
    assert 10 <= len(schema.summary) <= 100
    assert "\n" not in schema.summary
    assert not schema.summary.endswith(".")
    for need in schema.needs:
        assert need.summary
        assert need.name.isidentifier()


def test_its_axes_name_settings_that_exist(schema):
    assert schema.axes or not schema.trains
    everything = [setting for section in FULL.model_fields for setting in fields_of(section)]
    for axis in schema.axes:
        assert axis in FULL.model_fields or axis in everything
    assert len(set(schema.axes)) == len(schema.axes)


def test_the_sections_that_decide_its_result_include_those_that_it_listens_to(schema):
    used = schema.uses or tuple(axis.split(".")[0] for axis in schema.axes)
    assert set(used) <= set(FULL.model_fields)
    assert {axis.split(".")[0] for axis in schema.axes} <= set(used)
    assert set(schema.sections) <= set(used)
    if schema.trains:
        assert {"units", "features", "model", "train"} <= set(used)


def test_its_own_sections_are_frozen_documented_and_have_defaults(schema):
    for section, kind in schema.sections.items():
        assert issubclass(kind, Section)
        assert section not in Settings.model_fields
        settings = kind()
        with pytest.raises(ValidationError, match="frozen"):
            setattr(settings, next(iter(kind.model_fields)), 1)
        for setting in kind.model_fields:
            assert f"\n        {setting}: " in kind.__doc__


def test_no_two_strategies_add_a_section_of_the_same_name_with_other_settings():
    owners = {}
    for schema in catalogue().values():
        for section, kind in schema.sections.items():
            assert owners.setdefault(section, kind) is kind


def test_its_fixed_and_first_values_are_settings_that_it_listens_to_with_values_that_they_can_have(schema):
    for values in (schema.fixed, *schema.first):
        assert set(values) <= set(listened_to(schema))
        FULL.model_validate(overlay({}, values))


def test_what_says_how_often_it_trains_is_a_setting_that_it_listens_to(schema):
    if schema.repeats:
        assert schema.trains
        assert schema.repeats in listened_to(schema)


def test_what_it_requires_is_a_section_that_a_campaign_may_leave_out(schema):
    for section in schema.requires:
        assert FULL.model_fields[section].default is None


def test_a_need_with_several_studies_to_choose_from_has_an_axis_to_choose_by(schema):
    for need in schema.needs:
        if need.axis:
            assert need.many
            assert need.axis in listened_to(schema)


def test_a_trial_goes_from_its_spec_to_an_outcome_and_is_not_run_twice(name, schema, make_spec, needs_of, store):
    spec = make_spec(name, {"train.epochs": 2}, needs_of(name))
    reports = []
    outcome = run_trial(spec, store, lambda report: reports.append(report) or True)
    assert not outcome.pruned
    assert outcome.score.words == 8
    assert outcome.scorer == PLAIN.name
    assert outcome.decoder
    assert outcome.seconds > 0
    assert outcome.cpu_seconds > 0
    assert outcome.weights > 0
    assert outcome.units == "word"
    assert store.has("posteriors", outcome.posteriors)
    lines = (store.path("outcomes", spec.key) / "hypotheses.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["reference"] for line in lines] == ["STOP NO", "YES", "NO NO STOP", "GO YES"]
    if schema.trains:
        assert [report.epoch for report in reports] == [1, 2]
        assert outcome.epochs == tuple(reports)
        assert outcome.best_epoch in (1, 2)
        assert store.has("checkpoints", outcome.checkpoint)
    else:
        assert outcome.epochs == ()
        assert outcome.best_epoch is None
    seen = len(reports)
    assert run_trial(spec, store, lambda report: reports.append(report) or True) == outcome
    assert len(reports) == seen


def test_a_test_set_is_recognised_as_dev_was(name, make_spec, needs_of, store, tiny):
    """Dev itself stands for the test set."""
    spec = make_spec(name, {"train.epochs": 2}, needs_of(name))
    outcome = run_trial(spec, store, lambda report: True)
    lines = (store.path("outcomes", spec.key) / "hypotheses.jsonl").read_text(encoding="utf-8").splitlines()
    heard = recognise(spec, outcome, SealedSet(SealedFile(tiny.dev)), store)
    assert [(one.id, one.text) for one in heard] == [
        (entry["id"], entry["hypothesis"]) for entry in map(json.loads, lines)
    ]


def test_the_same_spec_gives_the_same_result(name, make_spec, needs_of, tmp_path):
    spec = make_spec(name, {"train.epochs": 2}, needs_of(name))
    outcomes = [run_trial(spec, Store(tmp_path / part), lambda report: True) for part in ("one", "two")]
    assert outcomes[0].score == outcomes[1].score
    assert [report.loss for report in outcomes[0].epochs] == [report.loss for report in outcomes[1].epochs]
    files = [tmp_path / part / "outcomes" / spec.key / "hypotheses.jsonl" for part in ("one", "two")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_file_without_the_class_that_its_name_promises_is_refused(monkeypatch):
    module = types.ModuleType("trainers.strategies.my_idea")
    module.__file__ = "my_idea.py"
    monkeypatch.setitem(sys.modules, module.__name__, module)
    wanted = r"my_idea\.py must hold a class MyIdea\(Strategy\) whose schema is named 'my_idea'"
    for found in (None, 3, object, find_strategy("baseline")):
        module.MyIdea = found
        with pytest.raises(TypeError, match=wanted):
            strategies.find_strategy("my_idea")
