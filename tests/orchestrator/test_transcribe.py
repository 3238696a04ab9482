"""A promoted system put to use: on features by the tiny campaign's champion, on recordings by a net of one epoch."""

import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

from orchestrator.promotion import Champions
from orchestrator.recordings import find_recordings
from orchestrator.tracking import Tracker
from orchestrator.transcripts import FORMS, refuse_form
from search_spaces.axes.decoding import DecodingSettings, LanguageModelSettings
from search_spaces.errors import UserError
from tests.orchestrator.running import run, working_in
from trainers.artifacts import Hypothesis, Utterance
from trainers.data.manifest import read_manifest
from trainers.decoding.language_model import build_language_model
from trainers.pipeline import resolve_settings, run_trial
from trainers.recogniser import export_system
from trainers.spec import TrialSpec
from trainers.store import Store
from trainers.transcription import Failure, Transcript


@pytest.fixture(scope="module")
def tiny_home(tmp_path_factory, make_tiny_campaign):
    """A folder in which the tiny campaign has a champion; it is only looked at."""
    folder = tmp_path_factory.mktemp("used")
    with working_in(folder):
        campaign = make_tiny_campaign(folder)
        # enough to learn the words
        for old, new in (
            ("epochs: 4", "epochs: 12"),
            ("bilstm", "conv"),
            ("200", "120"),
            ("[{train.lr: 2", "[{train.lr: 3"),
        ):
            campaign.rewrite(old, new)
        campaign.rewrite("posteriors: [baseline, self_distillation]", "posteriors: baseline")
        campaign.rewrite(
            "trials: 5\n", "trials: 2\n    fixed: {decoding.prior_scale: 0.3, decoding.temperature: 1.2}\n"
        )
        run(campaign.read(), campaign.home, ["baseline"], workers=1)
    return campaign


@pytest.fixture
def call(tiny_home, call, monkeypatch):
    """Run a command in the tiny campaign's folder; its status and what it printed."""
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tiny_home.home.root))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tiny_home.folder)

    def run(*words, stdin=""):
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        return call(*words)

    return run


@pytest.fixture(scope="module")
def divided(tiny_home):
    """A beam-search trial that divides by the prior, and its system as it was promoted; the champion is as before."""
    with working_in(tiny_home.folder):
        records, _ = run(tiny_home.read(), tiny_home.home, ["baseline", "decoding"], workers=1)
        champions = Champions(tiny_home.home, Tracker(tiny_home.home))
        (trial,) = (trial for trial in records[1].trials if trial.outcome.decoder != "greedy")
        folder = champions.promote(trial)
        champions.promote(records[0].best)
    return trial, folder


@pytest.fixture(scope="module")
def searching(tiny_home, tmp_path_factory):
    """The champion's network with a beam search and a language model."""
    folder = tmp_path_factory.mktemp("searching")
    store = Store(tmp_path_factory.mktemp("model"))
    text = tiny_home.folder / "text.txt"
    model = build_language_model(store, LanguageModelSettings(text=text, order=2, discount_fallback=True))
    wide = DecodingSettings(method="beam", alpha=0.3, beta=0.5, token_min_logp=-12.0, beam_prune_logp=-30.0)
    export_system(folder, (tiny_home.home.champions / "tiny").resolve(), wide, model, {"campaign": "tiny"})
    return folder


def test_features_a_folder_of_them_and_a_set_give_the_same_words(call, tiny):
    references = {utterance.id: utterance.text for utterance in read_manifest(tiny.dev)}
    status, said = call("transcribe", tiny.dev)
    assert status == 0
    of_set = dict(line.split("\t") for line in said.out.splitlines())
    assert list(of_set) == list(references)
    assert sum(of_set[name] == text for name, text in references.items()) >= 3
    files = sorted((tiny.folder / "features").glob("dev_*.npy"))
    assert [line.split("\t")[1] for line in call("transcribe", *files)[1].out.splitlines()] == list(of_set.values())
    status, said = call("transcribe", tiny.folder / "features")
    of_folder = dict(line.split("\t") for line in said.out.splitlines())
    assert len(of_folder) == len(list((tiny.folder / "features").iterdir()))
    assert [of_folder[str(file.with_suffix(""))] for file in files] == list(of_set.values())


def test_a_list_of_paths_comes_from_standard_input(call, tiny):
    files = sorted((tiny.folder / "features").glob("dev_*.npy"))[:2]
    status, said = call("transcribe", "-", stdin="".join(f"{file}\n\n" for file in files))
    assert (status, said.out) == (0, call("transcribe", *files)[1].out)


def test_a_bad_file_is_named_and_the_others_are_transcribed(call, tiny, tmp_path, root):
    good = sorted((tiny.folder / "features").glob("dev_*.npy"))[:2]
    bad = {
        "absent.npy": None,
        "text.npy": b"no array",
        "nan.npy": np.full((20, 6), np.nan),
        "narrow.npy": np.zeros((20, 5)),
        "empty.npy": np.zeros((0, 6)),
        "sound.wav": b"RIFF",
    }
    for name, content in bad.items():
        if isinstance(content, bytes):
            (tmp_path / name).write_bytes(content)
        elif content is not None:
            np.save(tmp_path / name, content)
    status, said = call("transcribe", good[0], *(tmp_path / name for name in bad), "nowhere.jsonl", good[1])
    assert status == 1
    assert said.out == call("transcribe", *good)[1].out
    errors = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == len(bad) + 1
    for name in (*bad, "nowhere.jsonl"):
        assert sum(name in error for error in errors) == 1
    assert "has 5 dimensions a frame; this model reads 6" in said.err
    assert "is a recording; this model reads stored features" in said.err
    assert "Traceback" not in said.err


def test_json_lines_have_scores_apart_and_frames_of_words(call, searching, tiny):
    status, said = call("transcribe", tiny.dev, "--model", searching, "--format", "json", "--n-best", 4)
    assert status == 0
    lists = []
    for line, utterance in zip(said.out.splitlines(), read_manifest(tiny.dev), strict=True):
        entry = json.loads(line)
        assert entry["id"] == utterance.id
        assert [word["word"] for word in entry["words"]] == entry["text"].split()
        flat = [frame for word in entry["words"] for frame in word["frames"]]
        assert flat == sorted(flat)
        assert all("seconds" not in word for word in entry["words"])
        many = entry["n_best"]
        assert many[0]["text"] == entry["text"]
        totals = [one["acoustic"] + one["language"] for one in many]
        assert totals == sorted(totals, reverse=True)
        lists.append(len(many))
    assert 1 < max(lists) <= 4


def test_several_workers_hear_and_score_what_one_does(call, searching, tiny):
    for words in (("transcribe", "--format", "json", "--n-best", 4), ("transcribe",), ("evaluate", "--json")):
        command, *options = words
        alone, shared = (
            call(command, tiny.dev, "--model", searching, *options, "--workers", workers) for workers in (1, 2)
        )
        assert shared[0] == 0
        assert shared[1].out == alone[1].out


def test_the_champion_of_greedy_decoding_has_no_scores(call, tiny):
    entry = json.loads(call("transcribe", tiny.dev, "--format", "json")[1].out.splitlines()[0])
    assert entry["n_best"] == [{"text": entry["text"], "acoustic": None, "language": None}]
    assert entry["words"]


def test_a_promoted_trial_that_divided_by_the_prior_is_heard_as_it_was_scored(call, divided, tiny, tiny_home):
    trial, folder = divided
    shown = json.loads((folder / "decoder.json").read_text())
    assert (shown["prior_scale"], shown["temperature"]) == (0.3, 1.2)
    recorded = tiny_home.home.store / "outcomes" / trial.key / "hypotheses.jsonl"
    lines = [json.loads(line) for line in recorded.read_text(encoding="utf-8").splitlines()]
    status, said = call("transcribe", tiny.dev, "--model", folder, "--format", "json")
    assert status == 0
    for line, entry in zip(lines, map(json.loads, said.out.splitlines()), strict=True):
        expected = {"text": line["hypothesis"], "acoustic": line["acoustic"], "language": line["language"]}
        assert entry["n_best"] == [pytest.approx(expected)]


def test_the_output_goes_to_a_file(call, tiny, tmp_path):
    expected = call("transcribe", tiny.dev)[1].out
    status, said = call("transcribe", tiny.dev, "--out", tmp_path / "sub" / "words.txt")
    assert (status, said.out) == (0, "")
    assert (tmp_path / "sub" / "words.txt").read_text() == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--n-best", "3"], "--n-best needs --format json"),
        (["--workers", "2"], "workers would have no search to share; use one"),
        (["--format", "ctm"], "stored features do not say how long a frame lasts; choose --format json"),
        (["--format", "srt"], "srt needs times in seconds"),
        (["--campaign", "other"], "campaign other has no champion; those that have one: tiny"),
        (["--model", "nowhere"], "nowhere holds no checkpoint"),
        (["--model", "nowhere", "--campaign", "tiny"], "it does not go with --model and a folder"),
    ],
)
def test_what_cannot_be_is_refused(call, tiny, words, message):
    status, said = call("transcribe", tiny.dev, *words)
    assert status == 2
    assert message in said.err
    assert said.out == ""


def test_without_a_champion_it_says_what_to_do(call, tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path / "none"))
    status, said = call("transcribe", tiny.dev)
    assert status == 2
    assert "run a campaign first, or name a folder with --model" in said.err
    assert not (tmp_path / "none").exists()


def test_of_several_champions_one_has_to_be_named(call, tiny, tiny_home, tmp_path, monkeypatch):
    champions = tmp_path / "home" / "champions"
    champions.mkdir(parents=True)
    for name in ("one", "two"):
        (champions / name).symlink_to((tiny_home.home.champions / "tiny").resolve())
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path / "home"))
    status, said = call("transcribe", tiny.dev)
    assert status == 2
    assert "several campaigns have a champion: one, two; choose one with --campaign" in said.err
    assert call("transcribe", tiny.dev, "--campaign", "two")[0] == 0


def test_the_wer_of_a_set_is_that_of_pooled_counts(call, tiny, tiny_home):
    status, said = call("evaluate", tiny.dev, "--json")
    assert status == 0
    found = json.loads(said.out)
    assert found["errors"] == found["substitutions"] + found["deletions"] + found["insertions"]
    assert (found["utterances"], found["words"]) == (4, 8)
    assert found["wer"] == pytest.approx(100 * found["errors"] / 8)
    provenance = json.loads((tiny_home.home.champions / "tiny/provenance.json").read_text())
    assert found["wer"] == provenance["dev_wer"]
    status, said = call("evaluate", tiny.dev)
    assert status == 0
    assert f"{found['errors']} errors in 8 words, 4 utterances" in said.out
    assert max(map(len, said.out.splitlines())) <= 80


@pytest.mark.parametrize("form", ["trn", "text", "json"])
def test_what_is_written_is_scored_with_the_figures_of_evaluate(call, tiny, tmp_path, form):
    heard = tmp_path / {"trn": "heard.trn", "text": "heard.txt", "json": "heard.jsonl"}[form]
    assert call("transcribe", tiny.dev, "--format", form, "--out", heard)[0] == 0
    expected = json.loads(call("evaluate", tiny.dev, "--json")[1].out)
    found = json.loads(call("score", tiny.dev, heard, "--json")[1].out)
    (system,) = found["systems"]
    assert found["scorer"] == expected["scorer"]
    assert found["utterances"] == expected["utterances"]
    for figure in ("wer", "errors", "substitutions", "deletions", "insertions", "words"):
        assert system[figure] == expected[figure]


def test_a_recording_that_is_given_twice_does_not_fit_trn(call, tiny):
    status, said = call("transcribe", tiny.dev, tiny.dev, "--format", "trn")
    assert status == 2
    assert "trn holds every id once" in said.err
    assert said.out == ""


def test_a_set_with_a_bad_file_has_no_wer(call, tiny, tmp_path, write_features):
    manifest = write_features(tmp_path / "new.jsonl", ["GO", "STOP"])
    (tmp_path / "features/new_1.npy").write_bytes(b"")
    status, said = call("evaluate", manifest)
    assert status == 2
    assert "new_1.npy" in said.err
    assert said.out == ""


def with_test_set(tiny_home, folder, test):
    """The tiny campaign's file with a test set, in a folder."""
    text = tiny_home.file.read_text(encoding="utf-8")
    (folder / "tiny.yaml").write_text(text.replace("}\nunits", f", test: {test}}}\nunits", 1), encoding="utf-8")


def test_a_campaign_s_test_set_is_refused_under_any_name(call, tiny_home, tmp_path, write_features, monkeypatch):
    test = write_features(tmp_path / "test.jsonl", ["GO STOP", "YES", "NO"], seed=5)
    with_test_set(tiny_home, tmp_path, test)
    monkeypatch.chdir(tmp_path)
    copied = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / "features", copied / "renamed")
    entries = [json.loads(line) for line in test.read_text().splitlines()]
    for entry in entries:
        entry["feature_filepath"] = entry["feature_filepath"].replace("features/", "renamed/")
    (copied / "mine.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries[1:]))
    for manifest, seen in (
        (test, f"{test} is the test set of campaign tiny"),
        (
            copied / "mine.jsonl",
            f"2 of the 2 recordings of {copied / 'mine.jsonl'} are in the test set of campaign tiny",
        ),
    ):
        status, said = call("evaluate", manifest)
        assert status == 2
        assert seen in said.err
        assert "once, when the campaign is finalized" in said.err
    other = write_features(tmp_path / "other.jsonl", ["GO STOP", "YES", "NO"], seed=6)
    assert call("evaluate", other)[0] == 0


# --- recordings


@pytest.fixture(scope="module")
def listener(root, tmp_path_factory, write_manifest):
    """A system for recordings after one epoch, so fond of labels that it says something."""
    folder = tmp_path_factory.mktemp("an4")
    entries = [json.loads(line) for line in (root / "data/an4/train.jsonl").read_text().splitlines()[:40]]
    for entry in entries:
        entry["audio_filepath"] = str(root / "data/an4" / entry["audio_filepath"])
    data = write_manifest(folder / "some.jsonl", entries)
    sections = {
        "units": "char",
        "features": {"normalise": "speaker"},
        "model": {"layers": 1, "hidden": 16},
        "train": {"epochs": 1},
    }
    spec = TrialSpec("an4", "baseline", 0, "baseline", resolve_settings(sections).model_dump(mode="json"), data, data)
    store = Store(folder / "store")
    outcome = run_trial(spec, store, lambda report: True)
    (folder / "system").mkdir()
    checkpoint = store.path("checkpoints", outcome.checkpoint)
    export_system(folder / "system", checkpoint, DecodingSettings(blank_bias=-50.0), None, {"campaign": "an4"})
    return folder / "system"


@pytest.fixture(scope="module")
def recording(root):
    return root / "data/an4/audio/fash/an251-fash-b.flac"


def test_a_recording_is_transcribed_and_words_lie_within_it(call, listener, recording):
    length = soundfile.info(recording).duration
    status, said = call("transcribe", recording, "--model", listener, "--format", "json")
    assert status == 0
    entry = json.loads(said.out)
    assert entry["id"] == str(recording.with_suffix(""))
    assert entry["words"]
    for word in entry["words"]:
        assert word["seconds"] == [pytest.approx(0.04 * frame) for frame in word["frames"]]
        assert 0 <= word["seconds"][0] < word["seconds"][1] <= length + 0.04
    assert said.err.count("each is normalised for itself") == 1


def test_a_wav_file_is_heard_as_the_flac_it_came_from(call, listener, recording, tmp_path):
    samples, rate = soundfile.read(recording, dtype="int16")
    soundfile.write(tmp_path / "same.wav", samples, rate)
    texts = [
        call("transcribe", file, "--model", listener)[1].out.split("\t")[1]
        for file in (recording, tmp_path / "same.wav")
    ]
    assert texts[0] == texts[1]


def test_a_higher_sampling_rate_is_heard_at_the_models_and_a_lower_one_is_refused_with_both(
    call, listener, recording, tmp_path
):
    samples, rate = soundfile.read(recording)
    for name, factor in (("high", 2), ("low", 0.5)):
        changed = resample_poly(samples, int(2 * factor), 2)
        soundfile.write(tmp_path / f"{name}.wav", changed, int(factor * rate))
    status, said = call("transcribe", tmp_path / "high.wav", recording, "--model", listener, "--format", "json")
    assert status == 0
    high, own = ([word["seconds"][1] for word in json.loads(line)["words"]] for line in said.out.splitlines())
    assert high[-1] == pytest.approx(own[-1], abs=0.2)  # and not at half the time, as misheard
    status, said = call("transcribe", tmp_path / "low.wav", recording, "--model", listener)
    assert status == 1
    assert "low.wav: has a sampling rate of 4000 Hz, and the model was trained on 8000 Hz" in said.err
    assert len(said.out.splitlines()) == 1


def test_a_model_that_does_not_say_its_sampling_rate_hears_any_and_says_so(call, listener, recording, tmp_path):
    shutil.copytree(listener, tmp_path / "old")
    description = json.loads((listener / "checkpoint.json").read_text(encoding="utf-8"))
    assert description.pop("rate") == 8000
    (tmp_path / "old/checkpoint.json").write_text(json.dumps(description), encoding="utf-8")
    new, old = (call("transcribe", recording, "--model", folder) for folder in (listener, tmp_path / "old"))
    assert (new[0], new[1].out) == (old[0], old[1].out)
    assert "does not say at which sampling rate" in old[1].err
    assert "sampling rate" not in new[1].err


def test_ctm_and_subtitles_of_a_recording(call, listener, recording):
    status, said = call("transcribe", recording, "--model", listener, "--format", "ctm")
    assert status == 0
    times = []
    for line in said.out.splitlines():
        name, channel, start, duration, word = line.split()
        assert (name, channel) == (str(recording.with_suffix("")), "1")
        times += [float(start), float(start) + float(duration)]
        assert word
    assert times == sorted(times)
    status, said = call("transcribe", recording, "--model", listener, "--format", "srt")
    assert status == 0
    assert said.out.startswith("1\n00:00:0")
    status, said = call("transcribe", recording, recording, "--model", listener, "--format", "srt")
    assert status == 2
    assert "srt holds the subtitles of one recording, and there are 2" in said.err


def test_a_folder_says_what_it_does_not_hold(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing to hear")
    (found,) = find_recordings([str(tmp_path)], [])
    assert isinstance(found, Failure)
    assert "holds no file that ends in .wav" in found.reason


def test_folders_are_searched_to_the_bottom_in_order_and_case_does_not_matter(tmp_path):
    for name in ("b/two.WAV", "a/one.flac", "a/deep/er.npz", "a/text.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = find_recordings([str(tmp_path)], [])
    assert [(Path(one.id).name, one.kind) for one in found] == [
        ("er", "features"),
        ("one", "audio"),
        ("two", "audio"),
    ]


# --- forms


def transcript(text, spans, name="a b", seconds=0.04):
    utterance = Utterance(name, "", Path("a b.wav"), "audio")
    return Transcript(utterance, (Hypothesis(name, text, -1.5, 0.25, tuple(spans)),), seconds)


def test_the_forms_of_a_transcript():
    one = transcript("GO ON", [(0, 10), (25, 50)])
    assert FORMS["text"]([one]) == "a b\tGO ON\n"
    assert FORMS["trn"]([transcript("GO ON", [], name="a-1")]) == "GO ON (a-1)\n"
    assert FORMS["ctm"]([one]) == "a_b 1 0.00 0.40 GO\na_b 1 1.00 1.00 ON\n"
    assert FORMS["srt"]([one]) == ("1\n00:00:00,000 --> 00:00:00,400\nGO\n\n2\n00:00:01,000 --> 00:00:02,000\nON\n")
    assert json.loads(FORMS["json"]([one])) == {
        "id": "a b",
        "text": "GO ON",
        "words": [
            {"word": "GO", "frames": [0, 10], "seconds": [0.0, 0.4]},
            {"word": "ON", "frames": [25, 50], "seconds": [1.0, 2.0]},
        ],
        "n_best": [{"text": "GO ON", "acoustic": -1.5, "language": 0.25}],
    }


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["a-1", "a b", "c(1)"], "holds ids without white space and parentheses; .* rename a b, c\\(1\\)$"),
        (["a", "b", "a"], "holds every id once; .* name once a$"),
    ],
)
def test_ids_that_trn_cannot_hold_are_refused_before_anything_is_heard(ids, message):
    with pytest.raises(UserError, match=message):
        refuse_form("trn", ids, untimed="")
    for form in ("text", "json", "ctm"):
        refuse_form(form, ids, untimed="")


def test_silence_has_a_form_in_every_format():
    silent = transcript("", [])
    assert FORMS["text"]([silent]) == "a b\t\n"
    assert FORMS["trn"]([transcript("", [], name="a-1")]) == "(a-1)\n"
    assert FORMS["ctm"]([silent]) == FORMS["srt"]([silent]) == ""
    assert json.loads(FORMS["json"]([silent]))["words"] == []
    assert all(form([]) == "" for form in FORMS.values())


def test_a_subtitle_is_no_longer_than_can_be_read():
    words = ["WORD"] * 40
    cues = FORMS["srt"]([transcript(" ".join(words), [(20 * i, 20 * i + 18) for i in range(40)])]).split("\n\n")
    assert len(cues) > 4
    for cue in cues:
        assert len(cue.splitlines()[2]) <= 42
    assert " ".join(cue.splitlines()[2] for cue in cues).split() == words
    hours = transcript("LATE", [(100 * 3600, 100 * 3600 + 25)])
    assert "04:00:00,000 --> 04:00:01,000" in FORMS["srt"]([hours])


def test_times_that_are_not_known_are_not_made_up():
    with pytest.raises(ValueError, match="no times in seconds"):
        FORMS["ctm"]([transcript("GO", [(0, 3)], seconds=None)])
