import csv
import errno
import json
import re
import shutil

import kaldiio
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient

from orchestrator.home import Home
from orchestrator.record import TrialState
from orchestrator.sampling import Sampling
from trainers.artifacts import Posteriors
from trainers.data.manifest import read_manifest
from trainers.data.matrix_sets import open_matrices
from trainers.emission import load_posteriors
from trainers.exchange.imported_posteriors import load_imported
from trainers.exchange.posterior_files import FORMS

LABELS = ["▁GO", "<blk>", "▁NO", "▁STOP", "▁YES"]
BLANK = 1


def logits_of(text, seed):
    """What a sure network gives of a text: four frames a word, with a blank frame between."""
    rows = [BLANK]
    for word in text.split():
        rows += [LABELS.index(f"▁{word}")] * 4 + [BLANK]
    found = np.random.default_rng(seed).normal(size=(len(rows), len(LABELS)))
    found[np.arange(len(rows)), rows] += 9
    return found


def said(manifest, wrong=0):
    """Logits of a set by the last part of the ids; the first few utterances are heard as STOP."""
    found = {}
    for number, utterance in enumerate(read_manifest(manifest)):
        text = "STOP" if number < wrong else utterance.text
        found[utterance.id.rpartition("/")[2]] = logits_of(text, number)
    return found


@pytest.fixture
def outside(tiny_campaign, tiny):
    """What another toolkit left: an .npy file an utterance of dev, and its labels."""
    folder = tiny_campaign.folder / "outside"
    (folder / "dev").mkdir(parents=True)
    for name, matrix in said(tiny.dev, wrong=1).items():
        np.save(folder / "dev" / f"{name}.npy", matrix)
    (folder / "labels.txt").write_text("\n".join(LABELS) + "\n", encoding="utf-8")
    return folder


def arguments(folder="outside", **options):
    values = {"into": "tiny", "name": "toolkit", "blank": "<blk>", **options}
    return ["import-posteriors", folder, *(w for key, value in values.items() if value for w in (f"--{key}", value))]


def stored():
    return {record.name: record for record in Sampling(Home.here()).records("tiny")}


def folder_of(shown):
    return shown.out.split("the posteriors lie in\n")[1].split("\n")[0]


def yaml_line(shown):
    return next(line for line in shown.out.splitlines() if "strategy: imported" in line)


def test_posteriors_become_a_trial_that_is_shown_listed_and_decoded_but_no_champion(call, tiny_campaign, outside):
    status, shown = call(*arguments())
    assert status == 0, shown
    assert "outside/dev: logits, units: word" in shown.out + shown.err
    assert "without a network that could recognise recordings: no champion" in shown.out + shown.err
    record = stored()["toolkit"]
    assert (record.strategy, record.count(TrialState.COMPLETE), record.best.promoted) == ("imported", 1, True)
    score = record.best.outcome.score
    assert (score.errors, score.words) == (1, 8)  # STOP NO was heard as STOP
    run = MlflowClient(tiny_campaign.home.tracking_uri).get_run(record.best.run_id)
    assert run.data.metrics["dev_wer"] == pytest.approx(12.5)
    assert call("leaderboard", "tiny", "--csv", "board.csv")[0] == 0
    (row,) = csv.DictReader((tiny_campaign.folder / "board.csv").read_text(encoding="utf-8").splitlines())
    assert (row["study"], row["promoted"], row["dev_wer"]) == ("toolkit", "study", "12.5")
    assert (tiny_campaign.home.root / row["checkpoint"]).samefile(folder_of(shown))

    status, refused = call("promote", "tiny", "--study", "toolkit")
    assert status == 2
    assert "tiny/toolkit#0 is made of posteriors of another program, without a network" in refused.err

    status, again = call(*arguments())
    assert (status, folder_of(again)) == (0, folder_of(shown))
    assert len(stored()["toolkit"].trials) == 1

    tiny_campaign.rewrite("  decoding:\n", f"{yaml_line(shown)}\n  decoding:\n")
    tiny_campaign.rewrite("posteriors: [baseline, self_distillation]", "posteriors: toolkit")
    tiny_campaign.rewrite("strategy: decoding", "strategy: decoding\n    fixed: {decoding.prior_scale: 0.0}")
    assert call("run", "tiny/decoding")[0] == 0
    assert len(stored()["toolkit"].trials) == 1
    trials = stored()["decoding"].trials
    assert [trial.outcome.score.errors for trial in trials[:1]] == [1]  # greedy decoding comes first
    assert {trial.outcome.imported for trial in trials} == {record.best.outcome.imported}
    assert trials[1].needs == {"posteriors": ("toolkit#0",)}
    assert not (tiny_campaign.home.champions / "tiny").exists()


def test_a_network_is_champion_where_posteriors_from_elsewhere_are_better(call, tiny_campaign, outside, tiny):
    for name, matrix in said(tiny.dev).items():
        np.save(outside / "dev" / f"{name}.npy", matrix)
    assert call("run", "tiny/baseline", "--trials", "1")[0] == 0
    status, shown = call(*arguments())
    assert status == 0
    assert stored()["toolkit"].best.dev_wer == 0
    assert "tiny/baseline#0 has one, and is the champion" in shown.out + shown.err
    provenance = json.loads((tiny_campaign.home.champions / "tiny/provenance.json").read_text())
    assert provenance["study"] == "baseline"
    assert call("export-posteriors", "tiny", "--into", "out")[0] == 0
    about = json.loads((tiny_campaign.folder / "out/posteriors.json").read_text(encoding="utf-8"))
    assert (about["study"], about["key"]) == ("baseline", stored()["baseline"].best.outcome.checkpoint)


@pytest.mark.parametrize("form", ["npz", "ark", "npy"])
def test_what_a_network_says_is_exported_and_imported_bit_for_bit_and_teaches_the_same(call, tiny_campaign, form):
    assert call("run", "tiny/baseline", "--trials", "1")[0] == 0
    best = stored()["baseline"].best
    words = ["--into", "out", "--split", "dev", "--split", "train", "--format", form]
    status, shown = call("export-posteriors", "tiny/baseline#0", *words)
    assert status == 0, shown
    about = json.loads((tiny_campaign.folder / "out/posteriors.json").read_text(encoding="utf-8"))
    assert (about["units"], about["kind"], about["key"]) == ("word", "log-probs", best.outcome.checkpoint)
    assert about["splits"]["train"]["utterances"] == 12
    status, shown = call("import-posteriors", "out", "--into", "tiny", "--name", "back")
    assert status == 0, shown
    outcome = stored()["back"].best.outcome
    assert outcome.score == best.outcome.score
    kept = load_imported(tiny_campaign.home.store / outcome.made_of)
    ours = load_posteriors(tiny_campaign.home.store / "posteriors" / best.outcome.posteriors)
    theirs = kept.split("dev")
    assert (theirs.ids, theirs.labels) == (ours.ids, ours.labels)
    assert np.asarray(theirs.log_probs).tobytes() == np.asarray(ours.log_probs).tobytes()
    if form == "npz":
        student = "strategy: distillation\n    trials: 1\n    fixed: {distillation.alpha: 0.5}"
        for name, teacher in (("of_network", "baseline"), ("of_posteriors", "back")):
            line = f"{yaml_line(shown)}\n" if teacher == "back" else ""
            study = f"{line}  {name}:\n    {student}\n    needs: {{teacher: {teacher}}}\n"
            tiny_campaign.rewrite("  decoding:\n", f"{study}  decoding:\n")
        assert call("run", "tiny/of_network", "tiny/of_posteriors", "--trials", "1")[0] == 0
        epochs = [stored()[name].best.outcome.epochs for name in ("of_network", "of_posteriors")]
        assert [one.loss for one in epochs[0]] == [one.loss for one in epochs[1]]


def test_a_teacher_without_the_training_set_fails_with_the_command(call, tiny_campaign, outside):
    _, shown = call(*arguments())
    tiny_campaign.rewrite("teacher: baseline}\n    inherit: baseline", f"teacher: {folder_of(shown)}}}")
    tiny_campaign.rewrite("strategy: self_distillation", "strategy: distillation")
    assert call("run", "tiny/self_distillation")[0] == 1
    (trial,) = stored()["self_distillation"].trials
    assert "posteriors of dev and none of train; import them together: orchestrator import-posteriors" in trial.error


@pytest.mark.parametrize("blank", range(5))
def test_labels_in_any_order_with_the_blank_anywhere_give_the_same_posteriors(
    call, tiny_campaign, outside, tiny, blank
):
    first = folder_of(call(*arguments())[1])
    order = np.random.default_rng(blank).permutation(len(LABELS)).tolist()
    order.remove(BLANK)
    order.insert(blank, BLANK)
    names = ["" if column == BLANK else LABELS[column].removeprefix("▁") for column in order]
    matrices = {name: matrix[:, order] for name, matrix in said(tiny.dev, wrong=1).items()}
    np.savez("moved.npz", **matrices, labels=np.array(names))
    status, shown = call("import-posteriors", "moved.npz", "--into", "tiny", "--name", "moved")
    assert status == 0, shown
    assert folder_of(shown) == first


@settings(max_examples=25)
@given(data=st.data())
@pytest.mark.parametrize("form", sorted(FORMS))
def test_every_format_keeps_every_bit_id_and_length(tmp_path_factory, form, data):
    ids = data.draw(
        st.lists(st.from_regex(r"[a-z]{1,3}(/[a-z0-9._-]{0,3}[a-z])?", fullmatch=True), min_size=1, unique=True)
    )
    lengths = data.draw(st.lists(st.integers(1, 4), min_size=len(ids), max_size=len(ids)))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    block = np.log(rng.dirichlet(np.ones(3), sum(lengths))).astype(np.float32)
    wanted = Posteriors(tuple(ids), block, np.concatenate([[0], np.cumsum(lengths)]), ("", " ", "x"))
    folder = tmp_path_factory.mktemp("form")
    FORMS[form](folder, "dev", wanted)
    place = folder / "dev" if form == "npy" else folder / f"dev.{form}"
    found = open_matrices(place)
    assert sorted(found.ids) == sorted(ids)
    for number, name in enumerate(found.ids):
        assert found.read(number).tobytes() == np.asarray(wanted[ids.index(name)]).tobytes()


def test_what_is_declared_is_heeded_and_checked(call, outside, tiny):
    status, shown = call(*arguments(kind="probs"))
    assert status == 2
    assert "declared as probs" in shown.err
    assert "counted from 0" in shown.err
    for name, matrix in said(tiny.dev).items():
        np.save(outside / "dev" / f"{name}.npy", matrix - np.log(np.exp(matrix).sum(1, keepdims=True)))
    assert call(*arguments(kind="log-probs", units="mixed", **{"frame-seconds": "0.02"}))[0] == 0
    outcome = stored()["toolkit"].best.outcome
    assert (outcome.score.errors, outcome.units) == (0, "mixed")
    assert load_imported(Home.here().store / outcome.made_of).frame_seconds == 0.02


def test_a_split_of_its_own_file_and_archives_are_taken(call, tiny_campaign, outside, tiny):
    first = folder_of(call(*arguments())[1])
    matrices = said(tiny.dev, wrong=1)
    options = {"labels": "outside/labels.txt"}
    kaldiio.save_ark("one.ark", {name: matrix.astype(np.float32) for name, matrix in matrices.items()})
    assert call(*arguments("one.ark", name="ark", **options))[0] == 0
    (tiny_campaign.folder / "kaldi").mkdir()
    kaldiio.save_ark("kaldi/dev.ark", matrices, scp="kaldi/dev.scp")
    assert call(*arguments("kaldi", name="scp", **options))[0] == 0
    assert folder_of(call(*arguments("outside/dev", name="flat", **options))[1]) == first
    scores = {name: record.best.outcome.score for name, record in stored().items()}
    assert len(set(scores.values())) == 1
    assert set(scores) == {"toolkit", "ark", "scp", "flat"}


def spoil(outside, tiny, how):
    """Something that is wrong with posteriors from elsewhere."""
    first = outside / "dev" / "dev_0.npy"
    matrix = np.load(first)
    match how:
        case "nan":
            matrix[2, 3] = np.nan
            np.save(first, matrix)
        case "missing":
            first.rename(outside / "dev" / "other.npy")
        case "columns":
            np.save(first, matrix[:, :4])
        case "empty":
            np.save(first, matrix[:0])
        case "sums":
            for name, one in said(tiny.dev).items():
                np.save(outside / "dev" / f"{name}.npy", np.exp(one) / np.exp(one).sum(1, keepdims=True))
            broken = np.load(first)
            broken[1] *= 1.5
            np.save(first, broken)
        case "objects":
            np.save(first, np.array([{"a": 1}]), allow_pickle=True)
        case "cut":
            first.write_bytes(first.read_bytes()[:-9])
        case "nothing":
            shutil.rmtree(outside / "dev")
        case "twice":
            np.savez(outside / "dev.npz", a=matrix)
        case "labels":
            (outside / "labels.txt").write_text("\n".join(LABELS[:4]) + "\n", encoding="utf-8")
        case "description":
            (outside / "posteriors.json").write_text('{"units": "bpe", "kind": "probs", "frame_seconds": null}')
        case "half a description":
            (outside / "posteriors.json").write_text('{"units": "word"}')
        case "no labels":
            (outside / "labels.txt").unlink()
        case "other labels":
            np.savez(outside / "train.npz", **said(tiny.train), labels=np.array([*LABELS[:4], "▁MAYBE"]))
            np.savez(outside / "dev.npz", **said(tiny.dev), labels=np.array(LABELS))
            shutil.rmtree(outside / "dev")
            (outside / "labels.txt").unlink()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("nan", "dev_0: has nan in frame 2, column 3"),
        ("missing", "lacks 1 of the 4 utterances of"),
        ("columns", "dev_0: has 4 columns, and there are 5 labels"),
        ("empty", "dev_0: has no frames"),
        ("sums", "dev_0: sums to 1.5 in frame 1"),
        ("objects", "dev_0: cannot be read as .npy"),
        ("cut", "dev_0: cannot be read as .npy"),
        ("nothing", "has no posteriors of dev: one entry a split is wanted"),
        ("twice", "has dev and dev.npz; keep one of them"),
        ("labels", "has 5 columns, and there are 4 labels"),
        ("description", "posteriors.json: 1 mistake\n  is no description of exported posteriors"),
        ("half a description", "is no description of exported posteriors: KeyError('kind')"),
        ("no labels", "does not name its columns; name them with --labels FILE"),
        ("other labels", "the labels of train are not those of dev; only one of them has ['▁MAYBE', '▁YES']"),
    ],
)
def test_wrong_posteriors_are_refused_with_what_would_be_right(call, tiny_campaign, outside, tiny, how, message):
    spoil(outside, tiny, how)
    status, shown = call(*arguments())
    assert status == 2
    assert message in shown.err
    assert "Traceback" not in shown.err
    assert not (tiny_campaign.home.root / "optuna.db").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blank": ""}, "no line is empty; write one, or name the blank with --blank NAME"),
        ({"blank": "<pad>"}, "no line is '<pad>'"),
        ({"labels": "none.txt"}, "cannot be read as a file of labels"),
        ({"split": "train"}, "has no posteriors of train"),
        ({"name": "baseline"}, "has a study baseline already"),
        ({"name": "Toolkit"}, "small letters"),
        ({"into": "tiny/baseline"}, "--into takes a campaign"),
        ({"kind": "odds"}, "'odds' is not one of"),
        ({"frame-seconds": "0"}, "x>0"),
    ],
)
def test_a_wrong_call_is_refused(call, outside, options, message):
    status, shown = call(*arguments(**options))
    assert status == 2
    assert message in shown.err
    assert call(*arguments("nowhere"))[1].err == "error: no such file or folder: nowhere\n"


def test_another_set_under_the_same_name_is_refused_and_has_a_place_under_another(call, outside, tiny):
    assert call(*arguments())[0] == 0
    for name, matrix in said(tiny.dev).items():
        np.save(outside / "dev" / f"{name}.npy", matrix)
    status, shown = call(*arguments())
    assert status == 2
    assert "tiny/toolkit is there already and holds another import" in shown.err
    assert call(*arguments(name="better"))[0] == 0


def test_recordings_tell_how_long_a_frame_is_and_padding_shows(call, root, tmp_path, home, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["--into", "an4", "--name", "word2"]
    path = root / "tests/data/an4_posteriors/word_seed2_dev.npz"
    status, shown = call("import-posteriors", path, *words)
    assert status == 0, shown
    assert "taken in the order of" in shown.out + shown.err
    assert "as the references say too" in shown.out + shown.err
    assert "as if they were padded" not in shown.out + shown.err
    (record,) = Sampling(Home.here()).records("an4")
    assert (record.best.outcome.score.errors, record.best.outcome.score.words) == (208, 710)
    assert load_imported(home.store / record.best.outcome.made_of).frame_seconds == pytest.approx(0.03, abs=0.001)
    status, shown = call("import-posteriors", path, *words, "--frame-seconds", "0.04")
    assert status == 2
    assert "has a frame every 0.03" in shown.err
    arrays = dict(np.load(path))
    longest = int(arrays["lengths"].max())
    ends = np.cumsum(arrays["lengths"])
    rows = [
        np.concatenate([np.arange(end - own, end), np.full(longest - own, end - 1)])
        for own, end in zip(arrays["lengths"], ends, strict=True)
    ]
    arrays["log_probs"] = arrays["log_probs"][np.concatenate(rows)]
    arrays["lengths"] = np.full(len(ends), longest)
    np.savez("padded.npz", **arrays)
    status, shown = call("import-posteriors", "padded.npz", "--into", "an4", "--name", "padded")
    assert "as if they were padded, or others" in shown.out + shown.err
    arrays["references"] = arrays["references"][::-1]
    np.savez("turned.npz", **arrays)
    status, shown = call("import-posteriors", "turned.npz", "--into", "an4", "--name", "turned")
    assert status == 2
    assert "another order, or another set; add their 'ids'" in shown.err


def test_the_test_set_may_be_imported_is_heard_when_it_is_opened_and_is_not_exported(
    call, tiny_campaign, outside, tiny, write_features
):
    tiny_campaign.rewrite(f"dev: {tiny.dev}}}", f"dev: {tiny.dev}, test: {tiny_campaign.folder}/test.jsonl}}")
    write_features(tiny_campaign.folder / "test.jsonl", ["NO GO", "STOP"], seed=9)
    (outside / "test").mkdir()
    for number, text in enumerate(["NO GO", "GO", "YES"]):
        np.save(outside / "test" / f"test_{number}.npy", logits_of(text, number))
    status, shown = call(*arguments())
    assert status == 0, shown
    assert "test: 1 utterances are not in" in (shown.out + shown.err).replace("\n", " ")
    kept = load_imported(Home.here().store / stored()["toolkit"].best.outcome.made_of)
    assert (kept.splits, len(kept.split("test"))) == (("dev", "test"), 2)
    status, shown = call("finalize", "tiny", "toolkit", "--yes", "--json")
    assert status == 0, shown
    (final,) = json.loads(shown.out)
    assert (final["substitutions"], final["words"]) == (1, 3)  # STOP was heard as GO
    status, shown = call("export-posteriors", "tiny/toolkit", "--into", "out", "--split", "test")
    assert status == 2
    assert "the set is heard when the campaign is finalized, and not before" in shown.err
    assert not (tiny_campaign.folder / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tiny", "--into", "out"], "has no champion; name a study: tiny/STUDY"),
        (["tiny/baseline", "--into", "out"], "no such complete trial is stored; studies stored: toolkit"),
        (["tiny/toolkit#7", "--into", "out"], "tiny/toolkit#7: no such complete trial"),
        (["tiny/toolkit#x", "--into", "out"], "toolkit#x is no trial; write toolkit#N"),
        (["tiny/toolkit", "--into", "outside"], "outside is there already"),
        (["tiny/toolkit", "--into", "out", "--split", "train"], "posteriors of dev and none of train"),
        (["tiny/toolkit", "--into", "out", "--format", "pt"], "'pt' is not one of"),
    ],
)
def test_a_wrong_export_is_refused_and_leaves_nothing(call, tiny_campaign, outside, words, message):
    assert call(*arguments())[0] == 0
    before = sorted(path.name for path in tiny_campaign.folder.iterdir())
    status, shown = call("export-posteriors", *words)
    assert status == 2
    assert message in shown.err
    assert sorted(path.name for path in tiny_campaign.folder.iterdir()) == before


def test_a_full_disk_leaves_nothing_half_written(call, tiny_campaign, outside, monkeypatch):
    assert call(*arguments())[0] == 0

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    before = sorted(path.name for path in tiny_campaign.folder.iterdir())
    monkeypatch.setitem(FORMS, "npz", full)
    status, shown = call("export-posteriors", "tiny/toolkit", "--into", "deep/out")
    assert status == 2
    assert "cannot write deep/out: No space left on device; free some space" in shown.err
    monkeypatch.setattr("orchestrator.importing_posteriors.write_split", full)
    status, shown = call(*arguments(name="second"))
    assert status == 2
    assert "No space left on device; free some space" in shown.err
    assert sorted(path.name for path in tiny_campaign.folder.iterdir() if path.name != "deep") == before
    assert list((tiny_campaign.folder / "deep").iterdir()) == []
    assert [path.name for path in (tiny_campaign.home.store / "imported_posteriors").iterdir() if path.is_dir()] == [
        stored()["toolkit"].best.outcome.imported
    ]


def test_the_lines_in_the_readme_make_a_folder_that_is_taken(call, tiny_campaign, tiny, root):
    text = (root / "README.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(arrays = \{\}.*?)```", text, re.DOTALL)[1]
    outputs = {name: torch.from_numpy(matrix) for name, matrix in said(tiny.dev).items()}
    (tiny_campaign.folder / "outside").mkdir()
    exec(code, {"np": np, "ids": list(outputs), "outputs": list(outputs.values()), "labels": LABELS})
    status, shown = call(*arguments())
    assert status == 0, shown
    assert stored()["toolkit"].best.dev_wer == 0
