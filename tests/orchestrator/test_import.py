import csv
import shutil

import pytest
import torch
from mlflow import MlflowClient

from orchestrator.home import Home
from orchestrator.record import TrialState
from orchestrator.sampling import Sampling
from search_spaces.axes.model import ModelSettings
from trainers.checkpoint import load_checkpoint
from trainers.data.labels import Alphabet
from trainers.data.manifest import read_manifest
from trainers.emission import emit
from trainers.model.build import build_network

CLASS = "model.class=tests.trainers.own_modules:Gru"
LAST = "model.class=tests.trainers.own_modules:BlankLast"
MODEL = "{encoder: bilstm, layers: 1, hidden: 16, dropout: 0.1}"


@pytest.fixture
def alphabet(tiny):
    return Alphabet.of("word", [utterance.text for utterance in read_manifest(tiny.train)])


@pytest.fixture
def own_file(tiny_campaign, alphabet):
    """A state dict of a module of the user's own, in no campaign."""
    torch.manual_seed(5)
    settings = ModelSettings.model_validate({"class": CLASS.split("=")[1]})
    path = tiny_campaign.folder / "foreign.pt"
    torch.save({"state_dict": build_network(settings, 6, len(alphabet)).model.state_dict()}, path)
    return path


@pytest.fixture
def encoder_file(tiny_campaign, alphabet):
    """A state dict of the campaign's own encoder."""
    torch.manual_seed(6)
    network = build_network(ModelSettings(encoder="bilstm", layers=1, hidden=16), 6, len(alphabet))
    path = tiny_campaign.folder / "encoder.pt"
    torch.save(network.state_dict(), path)
    return path


def folder_of(said):
    return said.out.split("its checkpoint lies in\n")[1].split("\n")[0]


def stored():
    return {record.name: record for record in Sampling(Home.here()).records("tiny")}


def test_a_foreign_file_becomes_a_trial_that_is_found_again_promoted_listed_and_taken_for_a_teacher(
    call, tiny_campaign, own_file
):
    status, said = call("import", own_file, "--into", "tiny", "--set", CLASS)
    assert status == 0, said
    folder = folder_of(said)
    record = stored()["imported"]
    assert (record.strategy, record.count(TrialState.COMPLETE), record.best.promoted) == ("imported", 1, True)
    checkpoint = load_checkpoint(tiny_campaign.home.store / "checkpoints" / record.best.outcome.checkpoint)
    assert str(checkpoint.folder) == folder
    assert checkpoint.model.class_path == CLASS.split("=")[1]
    run = MlflowClient(tiny_campaign.home.tracking_uri).get_run(record.best.run_id)
    assert run.data.metrics["dev_wer"] == pytest.approx(record.best.dev_wer)

    status, said = call("import", own_file, "--into", "tiny", "--set", CLASS)
    assert (status, folder_of(said)) == (0, folder)
    assert "started" not in said.out
    assert len(stored()["imported"].trials) == 1

    assert call("leaderboard", "tiny", "--csv", "board.csv")[0] == 0
    (row,) = csv.DictReader((tiny_campaign.folder / "board.csv").read_text(encoding="utf-8").splitlines())
    assert (row["study"], row["strategy"], row["promoted"]) == ("imported", "imported", "champion")
    assert call("promote", "tiny", "--study", "imported")[0] == 0
    assert (tiny_campaign.home.champions / "tiny" / "checkpoint.json").is_file()

    tiny_campaign.rewrite("{teacher: baseline}\n    inherit: baseline", f"{{teacher: {folder}}}")
    tiny_campaign.rewrite("strategy: self_distillation", "strategy: distillation")
    assert call("run", "tiny/self_distillation")[0] == 0
    assert stored()["self_distillation"].count(TrialState.COMPLETE) == 1
    assert call("leaderboard", "tiny", "--json")[1].out.count('"study":') == 2


def test_another_file_under_the_same_name_is_refused_and_has_a_place_under_another(call, own_file, tiny_campaign):
    assert call("import", own_file, "--into", "tiny", "--set", CLASS)[0] == 0
    state = torch.load(own_file, weights_only=True)["state_dict"]
    torch.save({name: weight * 2 for name, weight in state.items()}, own_file)
    status, said = call("import", own_file, "--into", "tiny", "--set", CLASS)
    assert status == 2
    assert "tiny/imported is there already and holds another import" in said.err
    assert "--name NAME" in said.err
    assert call("import", own_file, "--into", "tiny", "--set", CLASS, "--name", "doubled")[0] == 0
    assert set(stored()) == {"imported", "doubled"}


def test_one_of_our_own_checkpoints_is_taken_as_it_is(call, tiny_campaign):
    assert call("run", "tiny/baseline", "--trials", "1")[0] == 0
    best = stored()["baseline"].best
    folder = shutil.copytree(tiny_campaign.home.store / "checkpoints" / best.outcome.checkpoint, "elsewhere")
    status, said = call("import", folder, "--into", "tiny")
    assert status == 0, said
    assert stored()["imported"].best.outcome.score == best.outcome.score
    status, said = call("import", folder, "--into", "tiny", "--strip", "module.")
    assert status == 2
    assert "whole checkpoint" in said.err


def test_a_campaign_file_may_name_a_checkpoint_to_score_itself(call, tiny_campaign, encoder_file):
    _, said = call("import", encoder_file, "--into", "tiny")
    score = stored()["imported"].best.outcome.score
    study = f"  scored:\n    strategy: imported\n    needs: {{checkpoint: {folder_of(said)}}}\n  decoding:\n"
    tiny_campaign.rewrite("  decoding:\n", study)
    assert call("run", "tiny/scored")[0] == 0
    assert stored()["scored"].best.outcome.score == score


@pytest.mark.parametrize("column", [0, 2, -1])
@pytest.mark.parametrize("own", [True, False])
def test_a_blank_in_any_column_gives_the_same_posteriors(
    call, tiny_campaign, alphabet, own_file, encoder_file, corpus_of_dev, own, column
):
    path = own_file if own else encoder_file
    options = ["--set", CLASS] if own else []
    assert call("import", path, "--into", "tiny", *options, "--name", "plain")[0] == 0
    state = torch.load(path, weights_only=True)
    state = state.get("state_dict", state)
    count = len(alphabet)
    order = [*range(1, count)]
    order.insert(column % count, 0)
    moved = {name: weight[order] if name.startswith("head.") else weight for name, weight in state.items()}
    torch.save(moved, "moved.pt")
    names = ["<blk>" if column == 0 else alphabet.labels[column] for column in order]
    (tiny_campaign.folder / "labels.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    words = ["--labels", "labels.txt", "--blank", "<blk>", "--name", "moved"]
    status, said = call("import", "moved.pt", "--into", "tiny", *options, *words)
    assert status == 0, said
    outcomes = [stored()[name].best.outcome for name in ("plain", "moved")]
    assert outcomes[0].score == outcomes[1].score
    folders = [tiny_campaign.home.store / "checkpoints" / outcome.checkpoint for outcome in outcomes]
    checkpoints = [load_checkpoint(folder) for folder in folders]
    assert checkpoints[1].alphabet == alphabet
    first, second = (emit(checkpoint.network(), corpus_of_dev)[0] for checkpoint in checkpoints)
    assert abs(first - second).max() < 1e-6


@pytest.fixture
def corpus_of_dev(tmp_path, tiny):
    from search_spaces.axes.features import FeatureSettings
    from trainers.data.sets import load_set
    from trainers.store import Store

    return load_set(Store(tmp_path / "dev"), tiny.dev, FeatureSettings(kind="stored", normalise="none")).features


def test_a_file_of_dataparallel_needs_no_word_and_another_prefix_does(call, encoder_file):
    state = torch.load(encoder_file, weights_only=True)
    torch.save({f"module.{name}": weight for name, weight in state.items()}, "parallel.pt")
    torch.save({f"net.{name}": weight for name, weight in state.items()}, "inner.pt")
    assert call("import", "parallel.pt", "--into", "tiny")[0] == 0
    status, said = call("import", "inner.pt", "--into", "tiny", "--name", "inner")
    assert status == 2
    assert "net.head.weight is unexpected" in said.err
    assert call("import", "inner.pt", "--into", "tiny", "--strip", "net.", "--name", "inner")[0] == 0
    scores = [stored()[name].best.outcome.score for name in ("imported", "inner")]
    assert scores[0] == scores[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.pt", "--into", "tiny"], "no such file: nowhere.pt"),
        ([".", "--into", "tiny"], "is a folder without a checkpoint"),
        (["foreign.pt", "--into", "tiny"], "gru.weight_ih_l0 is unexpected"),
        (["foreign.pt", "--into", "tiny", "--set", "model.class=nowhere:Net"], "there is no module nowhere"),
        (["foreign.pt", "--into", "tiny", "--set", "train.lr=1"], "an import trains nothing"),
        (["foreign.pt", "--into", "tiny", "--set", "units=bpe"], "units: should be 'char'"),
        (["foreign.pt", "--into", "tiny", "--set", CLASS, "--labels", "few.txt"], "those of --labels"),
        (
            ["foreign.pt", "--into", "tiny", "--set", CLASS, "--labels", "none.txt"],
            "cannot be read as a file of labels",
        ),
        (["foreign.pt", "--into", "tiny", "--set", CLASS, "--blank", "x"], "needs --labels FILE"),
        (["foreign.pt", "--into", "tiny", "--name", "baseline"], "has a study baseline already"),
        (["foreign.pt", "--into", "tiny", "--name", "Base"], "small letters"),
        (["foreign.pt", "--into", "tiny/baseline"], "--into takes a campaign"),
        (["foreign.pt", "--into", "nothing"], "no campaign 'nothing'"),
        (["foreign.pt"], "--into"),
    ],
)
def test_a_wrong_import_is_refused_with_what_would_be_right(call, tiny_campaign, own_file, words, message):
    (tiny_campaign.folder / "few.txt").write_text("\nGO\n", encoding="utf-8")
    status, said = call("import", *words)
    assert status == 2
    assert message in said.err
    assert "Traceback" not in said.err
    assert not (tiny_campaign.home.root / "optuna.db").exists()
