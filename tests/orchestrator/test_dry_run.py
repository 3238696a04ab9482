import pytest

from orchestrator import dry_run
from orchestrator.cost import TrainingCost
from orchestrator.home import Home
from search_spaces.axes.features import FeatureSettings
from search_spaces.errors import CampaignError
from trainers.data.sets import load_set
from trainers.store import Store

SPACE = "    space: {distillation.alpha: {choice: [0.5]}}\n"


@pytest.mark.parametrize("generations", [1, 3])
def test_a_trial_of_several_generations_trains_several_times(tiny_campaign, monkeypatch, generations):
    monkeypatch.setattr(dry_run, "training_cost", lambda *about: TrainingCost(10.0, 1.0, 1))
    tiny_campaign.rewrite(SPACE, f"{SPACE}    fixed: {{distillation.generations: {generations}}}\n")
    campaign = tiny_campaign.read()
    # what a frame holds is known once the features are there
    load_set(Store(Home.here().store), campaign.data.train, FeatureSettings(kind="stored", normalise="none"))
    (study,) = dry_run.dry_run(campaign, ["self_distillation"], [], 1).studies
    assert study.seconds == 10 * generations


def test_generations_of_a_teacher_of_another_shape_are_refused(tiny_campaign):
    tiny_campaign.rewrite("    strategy: self_distillation\n", "    strategy: distillation\n")
    tiny_campaign.rewrite(SPACE, f"{SPACE}    fixed: {{distillation.generations: 2}}\n")
    with pytest.raises(CampaignError, match=r"distillation\.generations: has no effect on strategy 'distillation'"):
        tiny_campaign.read()
