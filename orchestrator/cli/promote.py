"""``orchestrator promote``: move the champion by hand."""

import click


@click.command()
@click.argument("target", metavar="CAMPAIGN")
@click.option("--study", help="Promote a trial of this study; its own promoted one unless --trial names another.")
@click.option("--trial", type=click.IntRange(0), help="Number of the trial.")
@click.option("--undo", is_flag=True, help="Go back to the champion before the present one.")
def command(target: str, study: str | None, trial: int | None, undo: bool) -> int:
    """Make a trial the champion by hand.

    Without options the best of the campaign. The exported folder and the registry's alias move together.
    """
    from orchestrator.home import Home
    from orchestrator.promotion import Champions, best_of
    from orchestrator.stored import in_order, stored_studies
    from orchestrator.tables import percent
    from orchestrator.tracking import Tracker
    from search_spaces.errors import UserError
    from search_spaces.finding import find_campaign
    from search_spaces.reading import read_campaign, unknown_study

    path, named = find_campaign(target)
    study = study or named
    campaign = read_campaign(path)
    studies = in_order(campaign, stored_studies(campaign.name))
    if study is not None and study not in (*campaign.studies, *(record.name for record in studies)):
        raise UserError(unknown_study(campaign, study))
    if trial is not None and study is None:
        raise UserError("--trial needs --study: trials are numbered within their study")
    if undo and (study is not None or trial is not None):
        raise UserError("--undo goes back one champion; it takes neither --study nor --trial")
    home = Home.here()
    champions = Champions(home, Tracker(home))
    if undo:
        click.echo(f"champion of {campaign.name}: {champions.undo(campaign.name)}")
        return 0
    if study is not None:
        found = next((record for record in studies if record.name == study), None)
        chosen = found.result if found and trial is None else None
        if found and trial is not None:
            chosen = next((record for record in found.trials if record.number == trial), None)
    else:
        chosen = best_of(studies)
    if chosen is None:
        raise UserError(f"{target}: no such trial is stored; run it with: orchestrator run {target}")
    folder = champions.promote(chosen)
    click.echo(f"champion of {campaign.name}: {chosen.name}, dev WER {percent(chosen.judged_wer)}, in {folder}")
    click.echo("promoted by hand: the gate, which asks for more than noise on dev, was not asked")
    return 0
