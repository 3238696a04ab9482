"""What a run reads and checks before its first trial."""

import numpy as np
import pytest
import soundfile

from orchestrator.planning import base_settings
from orchestrator.preparation import prepare
from search_spaces.errors import UserError
from search_spaces.reading import read_campaign
from trainers.data.sets import load_set
from trainers.decoding.language_model import LanguageModelFiles
from trainers.strategies import catalogue

KALDI = """\
campaign: kaldi
data: {{train: train, dev: dev}}
units: word
features: {features}
model: {{encoder: bilstm, layers: 1, hidden: 4, front: conv, subsampling: 2}}
language_model: {{order: 2, discount_fallback: true}}
studies:
  baseline: {{strategy: baseline}}
  decoding: {{strategy: decoding, needs: {{posteriors: baseline}}}}
"""


@pytest.fixture
def directories(tmp_path):
    """Two Kaldi data directories, whose matrices are given back by split."""
    kaldiio = pytest.importorskip("kaldiio")
    rng = np.random.default_rng(0)
    matrices = {}
    for split, sentences in {"train": ["GO STOP", "YES", "NO GO"], "dev": ["STOP", "GO NO"]}.items():
        (tmp_path / split).mkdir()
        arrays = {f"u{n}": rng.standard_normal((20 + n, 3)).astype(np.float32) for n in range(len(sentences))}
        kaldiio.save_ark(str(tmp_path / split / "raw.ark"), arrays, scp=str(tmp_path / split / "feats.scp"))
        text = "".join(f"{name} {sentence}\n" for name, sentence in zip(arrays, sentences, strict=True))
        (tmp_path / split / "text").write_text(text, encoding="utf-8")
        matrices[split] = list(arrays.values())
    return matrices


@pytest.mark.parametrize("more", ["", ", deltas: 1, subsample: 2, stack: 3"])
def test_a_campaign_of_kaldi_data_directories_is_prepared(tmp_path, store, directories, more):
    file = tmp_path / "kaldi.yaml"
    file.write_text(KALDI.format(features=f"{{kind: stored, normalise: none{more}}}"), encoding="utf-8")
    campaign = read_campaign(file, catalogue())
    said = []
    found = prepare(campaign, list(campaign.studies), store, lambda name, done, total: said.append((name, done, total)))
    assert set(found.data) == {"train", "dev"}
    assert ("features of train", 3, 3) in said
    assert ("features of dev", 2, 2) in said
    for split, arrays in directories.items():
        settings = base_settings(campaign, campaign.studies["baseline"]).features
        features = load_set(store, getattr(campaign.data, split), settings, content=found.data[split]).features
        assert np.array_equal(features.frames, np.concatenate(arrays))
        assert features.dimensions == 3 * settings.blocks
    (folder,) = (path.parent for path in (store.root / "language_models").glob("*/words.txt"))
    assert {"GO", "STOP", "YES", "NO"} <= set(LanguageModelFiles(folder, "").words)


def test_sets_of_different_sampling_rates_are_refused_before_anything_starts(tmp_path, store, write_manifest):
    rng = np.random.default_rng(0)
    for split, rate in (("train", 16000), ("dev", 8000)):
        soundfile.write(tmp_path / f"{split}.wav", 0.1 * rng.standard_normal(rate), rate)
        write_manifest(tmp_path / f"{split}.jsonl", [{"audio_filepath": f"{split}.wav", "text": "GO"}])
    (tmp_path / "rates.yaml").write_text(
        "campaign: rates\ndata: {train: train.jsonl, dev: dev.jsonl}\nstudies: {baseline: {strategy: baseline}}\n"
    )
    campaign = read_campaign(tmp_path / "rates.yaml", catalogue())
    with pytest.raises(UserError, match=r"train\.jsonl have 16000 Hz, those of .*dev\.jsonl 8000 Hz"):
        prepare(campaign, ["baseline"], store, lambda name, done, total: None)
