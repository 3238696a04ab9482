"""``orchestrator export-posteriors``: the posteriors of a trial for other programs."""

from pathlib import Path

import click


@click.command()
@click.argument("target", metavar="CAMPAIGN[/STUDY[#N]]")
@click.option("--into", "folder", required=True, type=click.Path(path_type=Path), help="A new folder.")
@click.option(
    "--split",
    "splits",
    multiple=True,
    default=("dev",),
    show_default=True,
    type=click.Choice(["dev", "train", "test"]),
    help="Of this one; may be repeated.",
)
@click.option("--format", "form", type=click.Choice(["npz", "ark", "npy"]), default="npz", show_default=True)
def command(target: str, folder: Path, splits: tuple[str, ...], form: str) -> int:
    """Write what a trial's network says of every frame, for other programs.

    Without a study the champion's; without a number those of the study's promoted trial. Natural logarithms in float32,
    with the labels and what they are (posteriors.json) beside them; import-posteriors reads them back bit for bit.
    """
    from orchestrator.exporting_posteriors import export_posteriors, find_trial
    from orchestrator.home import Home
    from orchestrator.stored import in_order, stored_studies
    from search_spaces.errors import UserError
    from search_spaces.finding import find_campaign
    from search_spaces.reading import read_campaign
    from trainers.store import Store
    from trainers.strategies import catalogue

    if "test" in splits:
        raise UserError(
            "--split test: posteriors of the test set could be decoded with any weights until one looks good; the set "
            "is heard when the campaign is finalized, and not before. Export dev or train"
        )
    path, named = find_campaign(target)
    campaign = read_campaign(path, catalogue())
    home = Home.here()
    record = find_trial(campaign, in_order(campaign, stored_studies(campaign.name)), named, home)
    chosen = tuple(split for split in ("dev", "train") if split in splits)
    export_posteriors(campaign, record, chosen, form, folder, Store(home.store))
    click.echo(f"posteriors of {' and '.join(chosen)} of {record.name}, as {form}, are in {folder}")
    return 0
