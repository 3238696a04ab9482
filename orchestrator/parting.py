"""How a campaign parts its dev set, found out before anything runs."""

from search_spaces.campaign import Campaign
from search_spaces.errors import CampaignError, Mistake
from search_spaces.source import read_source
from trainers.data.parting import transcripts
from trainers.trial import read_texts


def parts_of_dev(campaign: Campaign) -> str:
    """Say how dev is parted; empty where it is not.

    Args:
        campaign: The campaign.

    Raises:
        CampaignError: No word is said in one of the parts.
        DataError: The set cannot be read.
    """
    share = campaign.data.tuning
    if share is None:
        return ""
    dev = read_texts(campaign.data.dev)
    tuning, selection = transcripts(dev, share, "tuning"), transcripts(dev, share, "selection")
    for part, task in ((tuning, "tune"), (selection, "judge")):
        if not any(part.values()):
            line = read_source(campaign.path).line(("data", "tuning"))
            said = (
                f"a share of {share:g} leaves none of the {len(dev)} utterances of {campaign.data.dev} with a word to "
                f"{task}; take another share, or leave it out"
            )
            raise CampaignError(campaign.path, [Mistake(line, "data.tuning", said)])
    return f"dev is parted: {len(tuning)} utterances tune, the other {len(selection)} judge what they chose"
