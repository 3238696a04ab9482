"""``orchestrator free``: free the weights of trials that need not keep them."""

import json

import click


@click.command()
@click.argument("target", metavar="CAMPAIGN[/STUDY]")
@click.option(
    "--keep-best", type=click.IntRange(1), help="Keep so many of the best trials a study, instead of the file's."
)
@click.option("--dry-run", is_flag=True, help="Say what would be freed, and free nothing.")
@click.option("--restore", type=click.IntRange(0), metavar="TRIAL", help="Train a freed trial of STUDY once more.")
@click.option("--json", "as_json", is_flag=True, help="For a program.")
def command(target: str, keep_best: int | None, dry_run: bool, restore: int | None, as_json: bool) -> int:
    """Free the disk of weights that are not among the best.

    Records, curves and hypotheses stay. Kept are the best trials of every study, what a study has begun with or will
    need, what is or was champion, and what another campaign shares.
    """
    from rich.console import Console

    from orchestrator.display import Lines
    from orchestrator.engines.local import LocalEngine
    from orchestrator.freeing import Freeing
    from orchestrator.home import Home
    from orchestrator.sampling import Sampling
    from orchestrator.stored import stored_studies
    from orchestrator.tables import freed_table, size
    from orchestrator.tracking import Tracker
    from search_spaces.errors import UserError
    from search_spaces.finding import find_campaign
    from search_spaces.reading import read_campaign, unknown_study
    from trainers.strategies import catalogue

    path, study = find_campaign(target)
    campaign = read_campaign(path, catalogue())
    stored = {record.name: record for record in stored_studies(campaign.name)}
    if study is not None and study not in (*campaign.studies, *stored):
        raise UserError(unknown_study(campaign, study))
    if not stored:
        raise UserError(f"campaign {campaign.name} has not been run here; there is nothing to free")
    home = Home.here()
    freeing = Freeing(campaign, home, Sampling(home), Tracker(home))
    if restore is not None:
        if study is None or keep_best is not None or dry_run or as_json:
            raise UserError("--restore trains one trial again: orchestrator free CAMPAIGN/STUDY --restore TRIAL")
        with Lines(campaign.name) as lines:
            freeing.restore(study, restore, LocalEngine(1), lines)
        return 0
    names = [study] if study is not None else list(stored)
    keep = {name: keep_best for name in names} if keep_best else campaign.keeping(names)
    if not keep:
        raise UserError(
            f"{path.name} keeps the weights of all trials; say how many of the best to keep: --keep-best 3, or "
            "keep: {best: 3} in the file"
        )
    found = freeing.look(keep) if dry_run else freeing.free(keep)
    total = sum(one.size for one in found)
    if as_json:
        trials = [{"study": one.trial.study, "trial": one.trial.number, "bytes": one.size} for one in found]
        click.echo(json.dumps({"freed": not dry_run, "bytes": total, "trials": trials}, indent=1))
        return 0
    console = Console(highlight=False)
    if found:
        console.print(freed_table(found))
    verb = "would be freed" if dry_run else "freed"
    console.print(f"{size(total)} {verb}: the weights of {len(found)} trial{'s' * (len(found) != 1)}; records stay")
    if dry_run and found:
        console.print("Next: the same command without --dry-run")
    return 0
