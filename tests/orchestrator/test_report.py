"""The page of a campaign, made of records and errors that are known by heart."""

import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.leaderboard import Evidence, leaderboard
from orchestrator.leaderboard.formats import cells
from orchestrator.record import FinalScore, StudyRecord
from orchestrator.report import Material, is_report, render
from orchestrator.report.answer import answer
from orchestrator.report.material import Sets
from orchestrator.report.methods import methods
from orchestrator.report.power import power
from search_spaces.campaign import Campaign, DataFiles, StudyDefinition
from search_spaces.errors import UserError
from search_spaces.space import Space
from tests.orchestrator.made_surface import ALPHA, BETA, Study
from tests.orchestrator.reading_pages import Page, fetched
from tests.orchestrator.recognised import BASE, BETTER, TIED, WORSE, alone, recognised, study, wer
from trainers.artifacts import Score, Utterance
from trainers.outcomes import UtteranceErrors
from trainers.spec import EpochReport

HOSTILE = '<script>alert("1")</script>'


def material(errors, *, baseline="baseline", **parts):
    """Material of a study each of these errors; None leaves it without a result."""
    studies, evidence = [], {}
    for name, wrong in errors.items():
        if wrong is None:
            studies.append(StudyRecord("c", name, name))
            evidence[name] = Evidence(missing="no trial is complete")
        else:
            studies.append(study(name, wer(wrong), utterances=len(wrong), promoted=0))
            evidence[name] = alone(wrong)
    evidence |= parts.pop("evidence", {})
    definitions = {name: StudyDefinition(name, "baseline") for name in errors}
    campaign = Campaign("c", Path("c.yaml"), DataFiles(Path("a"), Path("b")), {}, definitions, baseline)
    table = leaderboard(studies, parts.get("champion"), campaign, evidence)
    found = {f"{name}0": one.dev for name, one in evidence.items()}
    given = {"champion": None, "errors_of": lambda trial: found.get(trial.key)} | parts
    return Material(campaign, studies, table, evidence, **given)


def page(*args, **parts):
    return Page(render(*args, **parts))


@pytest.fixture(scope="module")
def everything():
    return material({"baseline": BASE, "self_distillation": BETTER, "attention": WORSE, "mixup": TIED, "gone": None})


def test_the_answer_stands_first_and_names_every_strategy_but_the_baseline(everything):
    said = answer(everything.table, None)
    pattern = (
        r"Self-distillation: −\d+\.\d ± \d+\.\d; mixup: no difference; attention: \+10\.0 ± 0\.0; gone: no result\."
    )
    assert re.fullmatch(pattern, said.short)
    text = page(everything).text
    assert text.index(said.short) < text.index("WER of each strategy")


def test_each_verdict_has_a_sentence_with_its_difference_and_a_tie_says_what_would_be_found(everything):
    rows = {row["study"]: row for row in everything.table.to_dict("records")}
    said = dict(zip(everything.table["study"], answer(everything.table, None).sentences, strict=True))
    assert "better than the baseline, −" in said["self_distillation"]
    assert "worse than the baseline, +10.0 ± 0.0 points" in said["attention"]
    assert f"shows a difference of {rows['mixup']['detectable']:.1f} points in 80 of 100 cases" in said["mixup"]
    assert said["baseline"].startswith("Baseline: what the others are compared with, dev WER 23.0 ± ")
    assert said["gone"] == "Gone: no trial is complete (none has begun)."


def test_the_best_system_is_named_with_its_cost_and_the_champion_even_if_it_is_another(everything):
    said = " ".join(answer(everything.table, None).best)
    assert "The lowest dev WER is that of self-distillation, trial 0: dev WER " in said
    assert "It took 36 s of the processor" in said
    assert "has no champion yet" in said
    mine, other = (everything.study(name).trials[0] for name in ("self_distillation", "attention"))
    assert answer(everything.table, mine).best[-1] == "It is the champion of the campaign."
    champion = answer(everything.table, other).best[-1]
    assert champion == "The champion of the campaign is attention, trial 0: dev WER 33.0 %."


def test_test_figures_stand_beside_those_of_dev_once_they_are_opened():
    opened = {
        name: Evidence(recognised(errors), test=recognised(errors[::-1]), looks=1)
        for name, errors in {"baseline": BASE, "mixup": BETTER}.items()
    }
    found = material({"baseline": BASE, "mixup": BETTER}, evidence=opened)
    assert "points on test" in answer(found.table, None).sentences[0]
    text = page(found).text
    assert "square: test" in text
    assert "is sealed" not in text
    assert "is sealed" in page(material({"baseline": BASE})).text


lists = st.lists(st.integers(0, 10), min_size=12, max_size=12)


@settings(max_examples=12)
@given(st.tuples(lists, lists, lists))
def test_every_number_on_the_page_is_the_leaderboards(drawn):
    found = material(dict(zip(("baseline", "one", "two"), drawn, strict=True)))
    shown = page(found)
    rows = found.table.to_dict("records")
    for row in rows:
        assert cells(row) in shown.cells
    said = answer(found.table, None)
    for row, sentence in zip(rows, said.sentences, strict=True):
        assert sentence in shown.text
        allowed = {f"{row['dev_wer']:.1f}", f"{(row['dev_high'] - row['dev_low']) / 2:.1f}"}
        if not pd.isna(row["difference"]):
            half = (row["difference_high"] - row["difference_low"]) / 2
            allowed |= {f"{abs(row['difference']):.1f}", f"{half:.1f}", "100", "80"}
            allowed |= {f"{row['p_adjusted']:.3f}", "0.001"}
            allowed |= set() if pd.isna(row["detectable"]) else {f"{row['detectable']:.1f}"}
        assert set(re.findall(r"\d+(?:\.\d+)?", sentence)) <= allowed
    figures = " ".join(attributes["aria-label"] for attributes in shown.all("div") if "aria-label" in attributes)
    for row in rows:
        assert f"{row['study']} {row['dev_wer']:.1f}" in figures


def test_the_page_fetches_nothing_runs_nothing_and_has_its_tables_and_figures_described(everything):
    html = render(everything)
    shown = Page(html)
    assert fetched(shown) == []
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in shown.elements}
    assert not re.search(r"@import|url\((?!#)|https?://", html)
    assert not [name for _, attributes in shown.elements for name in attributes if name.startswith("on")]
    assert len(html) < 100_000
    drawn = [attributes for attributes in shown.all("div") if attributes.get("role") == "img"]
    assert all("aria-label" in attributes for attributes in shown.all("div") if "tabindex" in attributes)
    assert len(drawn) == len(shown.all("svg")) >= 3
    assert all(len(attributes["aria-label"]) > 20 for attributes in drawn)
    assert all(attributes["scope"] in ("col", "row") for attributes in shown.all("th"))
    assert len(shown.all("table")) == len(shown.all("thead"))
    assert shown.all("html") == [{"lang": "en"}]
    assert len(shown.all("h1")) == 1


def test_what_was_said_and_recognised_is_text_whatever_it_holds():
    texts = ((f"go {HOSTILE}", f"{HOSTILE} stop"), ("שלום עולם", "שלום"), ("a & b", "a &amp; b"), ("{{ 7 * 7 }}", ""))
    errors = UtteranceErrors(
        ("<b>one</b>", "two", "three", "four"), np.array([2, 1, 1, 5]), np.array([2, 2, 3, 5]), texts
    )
    sets = Sets(dev=[Utterance(name, "", Path("a"), "audio", speaker="<i>anna") for name in errors.ids])
    shown = page(material({"baseline": BASE}, errors_of=lambda trial: errors, sets=sets))
    assert not {"script", "b", "i"} & {tag for tag, _ in shown.elements}
    for word in (HOSTILE, "<b>one</b>", "<i>anna", "&amp;", "שלום", "עולם", "{{"):
        assert word in shown.text
    assert "49" not in shown.text.split("What goes wrong")[1].split("What this set can show")[0]
    aligned = [attributes for attributes in shown.all("div") if attributes.get("class") == "aligned"]
    assert len(aligned) == 4
    assert all(attributes["dir"] == "auto" for attributes in aligned)


def test_a_campaign_that_has_not_been_run_has_a_page_that_says_so():
    campaign = Campaign("c", Path("c.yaml"), DataFiles(Path("a"), Path("b")), {}, {})
    shown = page(Material(campaign, (), leaderboard(()), {}, None))
    assert "Nothing has been run yet." in shown.text
    assert "orchestrator run c" in shown.text


def test_what_is_missing_leaves_a_sentence():
    nothing = page(material({"baseline": None})).text
    assert nothing.count("No trial is complete yet.") == 4
    assert "No study has trained a network to its end." in nothing
    freed = page(material({"baseline": BASE}, errors_of=lambda trial: None)).text
    assert "recognised is not in this store, so that its errors cannot be shown" in freed
    alone_ = page(material({"one": BASE, "two": BETTER}, baseline=None)).text
    assert "names no baseline" in alone_
    assert "No study was compared with a baseline." in alone_
    assert "Who speaks is not known here." in alone_
    assert "Nothing is compared yet: only the baseline has been run." in freed


def test_what_a_study_advises_is_said_with_the_leaderboard():
    found = material({"baseline": BASE})
    studies = [replace(found.study("baseline"), advice=("the best point lies at the end of a range <b>",))]
    assert "baseline: the best point lies at the end of a range <b>" in page(replace(found, studies=studies)).text


def test_what_nobody_knows_is_not_in_the_methods():
    found = material({"baseline": BASE, "mixup": TIED})
    said = " ".join(methods(found, found.study("mixup").result))
    assert "10,000 bootstrap resamples" in said
    assert "Holm" in said
    assert "MAPSSWE" in said
    assert "scorer levenshtein-1" in said
    assert "Decoding is greedy" in said
    for unknown in ("None", "nan", "NA", "{", "Software", "seed", "test set"):
        assert unknown not in said
    assert methods(material({"baseline": None}), None) == []


def test_the_methods_tell_data_software_and_the_network_that_a_decoding_study_took():
    found = material({"baseline": BASE, "mixup": TIED})
    network = replace(
        found.study("baseline").result,
        settings={"model": {"encoder": "conv", "layers": 6}, "train": {"epochs": 14, "seed": 3, "ema": 0.0}},
        provenance={"torch": "2.13.0", "commit": "0123456789abcdef", "dirty": "no", "ctc_orchestrator": "0.1.0"},
    )
    decoding = replace(
        found.study("mixup").result,
        needs={"posteriors": ("baseline#0",)},
        provenance=network.provenance,
        settings={
            "decoding": {"method": "beam", "alpha": 0.81354},
            "language_model": {"text": "/x/text.txt", "order": 4},
        },
        outcome=replace(found.study("mixup").result.outcome, decoder="beam 20, 4-gram", language_model="k"),
    )
    train = [Utterance("u", "go stop", Path("a"), "audio", duration=1800.0)] * 4
    studies = [replace(found.study("baseline"), trials=(network,)), replace(found.study("mixup"), trials=(decoding,))]
    said = " ".join(methods(replace(found, studies=studies, sets=Sets(train=train)), decoding))
    assert said.startswith("The training set has 4 utterances (8 words, 2.0 h).")
    assert "The network (baseline, trial 0; encoder conv, layers 6; 10 weights)" in said
    assert "Training: epochs 14." in said
    assert "beam search (beam 20, 4-gram; alpha 0.8135)" in said
    assert "order 4 with modified Kneser-Ney smoothing, estimated from text.txt" in said
    assert "trained with seed 3." in said
    assert "Software: ctc-orchestrator 0.1.0 (commit 0123456789ab), PyTorch 2.13.0." in said


def test_the_power_statement_holds_the_detectable_differences_or_what_to_expect(everything):
    rows = everything.table.set_index("study")
    said = " ".join(power(everything, None))
    assert f"mixup {rows.loc['mixup', 'detectable']:.1f}" in said
    assert "With 40 utterances and 400 words, dev finds" in said
    lonely = material({"baseline": BASE})
    (expected,) = power(lonely, lonely.study("baseline").result)
    assert "Nothing was compared. With the 400 words of dev" in expected
    assert power(material({"baseline": None}), None) == []


def test_curves_are_drawn_of_every_study_that_was_trained():
    found = material({"baseline": BASE, "mixup": TIED, "decoding": BETTER})
    reports = tuple(EpochReport(epoch, 3, 1.0, 90 - 20 * epoch, 0.5, 1e-3, 1.0, 1.0) for epoch in (1, 2, 3))

    def trained(record):
        trial = record.trials[0]
        return replace(record, trials=(replace(trial, outcome=replace(trial.outcome, epochs=reports)),))

    studies = [trained(one) if one.name != "decoding" else one for one in found.studies]
    shown = page(replace(found, studies=studies))
    curves = [one for one in shown.all("polyline") if one["class"].startswith("curve")]
    assert [len(one["points"].split()) for one in curves] == [3, 3]
    assert "Learning curves: baseline from 70.0 to 30.0 %; mixup from 70.0 to 30.0 %" in str(shown.elements)


def searched(points):
    """Material whose study of decoding searched so many points."""
    made = Study()
    for number in range(points):
        made.add(1 + number % 5, alpha=2 * (number % 25) / 24, beta=-2 + 8 * (number // 25) / (points / 25))
    space = Space((ALPHA, BETA))
    found = material({"decoding": BASE})
    found.campaign.studies["decoding"] = StudyDefinition("decoding", "decoding", space)
    record = StudyRecord("c", "decoding", "decoding", tuple(made.trials))
    return replace(found, studies=[record], surfaces={"decoding": made.surface(space)}, errors_of=lambda trial: None)


def test_a_surface_is_drawn_with_words_that_can_be_copied_and_ids_of_its_own():
    html = render(searched(50))
    shown = Page(html)
    assert "alpha, weight of ln P_LM" in shown.text
    assert "points within noise" in shown.text
    ids = [attributes["id"] for _, attributes in shown.elements if "id" in attributes]
    assert len(ids) == len(set(ids)) > 0
    named = set(re.findall(r"url\(#([^)]+)\)", html)) | {
        attributes["href"][1:] for tag, attributes in shown.elements if tag == "use"
    }
    assert named
    assert named <= set(ids)
    assert fetched(shown) == []
    assert "http" not in html


def test_a_surface_of_thousands_of_points_becomes_a_picture():
    html = render(searched(4000))
    (picture,) = Page(html).all("img")
    assert picture["src"].startswith("data:image/png;base64,")
    assert len(html) < 1_000_000


def test_errors_are_analysed_of_the_champion_of_another_study_or_of_test_where_it_was_opened(everything):
    champion = everything.study("attention").trials[0]
    assert "Errors of attention, trial 0, on dev" in page(replace(everything, champion=champion)).text
    assert "Errors of self_distillation, trial 0, on dev" in page(everything).text
    assert "Errors of mixup, trial 0, on dev" in page(everything, "mixup").text
    with pytest.raises(UserError, match="unknown study 'mixap'; did you mean 'mixup'"):
        render(everything, "mixap")
    with pytest.raises(UserError, match="unknown study 'nonesuch'"):
        render(Material(everything.campaign, (), leaderboard(()), {}, None), "nonesuch")
    with pytest.raises(UserError, match="it has not been run"):
        render(replace(everything, studies=everything.studies[:1]), "mixup")
    with pytest.raises(UserError, match="none of its trials is complete"):
        render(everything, "gone")
    with pytest.raises(UserError, match="not opened for c/mixup#0; open it with: orchestrator finalize c"):
        render(everything, "mixup", "test")
    opened = {"mixup": Evidence(recognised(TIED), test=recognised([9] * 12, "t"), looks=1)}
    found = material(
        {"baseline": BASE, "mixup": TIED}, evidence=opened, errors_on_test=lambda trial: opened["mixup"].test
    )
    (trial,) = found.study("mixup").trials
    scored = replace(trial, final=FinalScore(Score(108, 0, 0, 120), 1, "k"))
    found = replace(found, studies=[found.studies[0], replace(found.study("mixup"), trials=(scored,))])
    assert "on test: 108 errors" in page(found, "mixup", "test").text
    assert "Those of test stand here with --split test" in page(found, "mixup").text
    champion = answer(material({"baseline": BASE}).table, scored).best[-1]
    assert champion == "The champion of the campaign is mixup, trial 0: dev WER 23.0 %, test WER 90.0 %."


def test_the_same_material_at_the_same_time_is_the_same_page(everything):
    now = datetime(2026, 1, 2, 3, 4)
    assert render(everything, now=now) == render(everything, now=now)
    assert "2026-01-02 03:04" in render(everything, now=now)


def test_a_report_is_known_from_other_files(everything, tmp_path):
    file = tmp_path / "r.html"
    assert not is_report(file)
    file.write_text("<html>my notes</html>", encoding="utf-8")
    assert not is_report(file)
    file.write_bytes(b"\xff\xfe\x00")
    assert not is_report(file)
    file.write_text(render(everything), encoding="utf-8")
    assert is_report(file)
