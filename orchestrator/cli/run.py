"""``orchestrator run``: run or resume a campaign, or one of its studies and what that needs."""

import os
import re
import signal
import sys
from typing import Any

import click

from orchestrator.setting_option import read_changes

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _duration(context: click.Context, param: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", value)
    if not match or float(match[1]) == 0:
        raise click.BadParameter(f"{value!r} is not a duration; write 90s, 30m, 2h or 1d")
    return float(match[1]) * _UNITS[match[2]]


def _confirm(context: click.Context, param: click.Parameter, value: str | None) -> dict[str, int] | str | None:
    if value is None or value == "none":
        return value
    match = re.fullmatch(r"([1-9]\d*)x(\d+)", value)
    if not match or int(match[2]) < 2:
        raise click.BadParameter(
            f"{value!r} is not TOPxSEEDS, two seeds at least; write --confirm 3x3, --confirm none, or --confirm alone "
            "behind the campaign"
        )
    return {"top": int(match[1]), "seeds": int(match[2])}


@click.command()
@click.argument("targets", nargs=-1, required=True, metavar="CAMPAIGN[/STUDY]...")
@click.option("--workers", type=click.IntRange(1, 512), help="Trials at once.  [default: the number of cores]")
@click.option("--trials", type=click.IntRange(1), help="Trials a study may have in all, instead of the file's.")
@click.option(
    "--confirm",
    callback=_confirm,
    is_flag=False,
    flag_value="3x3",
    metavar="[TOPxSEEDS]",
    help="Train the best configurations again with fresh seeds, instead of what the file says: 3x3, 5x3, none.",
)
@click.option("--timeout", callback=_duration, metavar="TIME", help="Start no trial after this time: 90s, 30m, 2h.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    help="Where networks compute.  [default: ORCHESTRATOR_DEVICE, or auto: a GPU if there is one]",
)
@click.option(
    "--set",
    "changes",
    callback=read_changes,
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting instead of the file's.",
)
def command(
    targets: tuple[str, ...],
    workers: int | None,
    trials: int | None,
    confirm: dict[str, int] | str | None,
    timeout: float | None,
    device: str | None,
    changes: dict[str, Any],
) -> int:
    """Run or resume a campaign.

    CAMPAIGN/STUDY runs one study and what it needs. What was finished is not run again; what was interrupted goes on.
    """
    from orchestrator.champion import champion_among
    from orchestrator.confirmation import confirming
    from orchestrator.display import Lines, Screen
    from orchestrator.engines.local import LocalEngine
    from orchestrator.home import Home
    from orchestrator.runner import Runner
    from orchestrator.summary import summary
    from search_spaces.campaign import ConfirmSettings
    from search_spaces.errors import UserError
    from search_spaces.finding import find_campaign
    from search_spaces.reading import read_campaign, unknown_study
    from trainers.device import VARIABLE, choose_device
    from trainers.strategies import catalogue

    if device:
        os.environ[VARIABLE] = device  # the processes of trials inherit it
    choose_device()  # refused once and now, not by every trial
    found = [find_campaign(target) for target in targets]
    if len({path for path, _ in found}) > 1:
        raise UserError("name one campaign at a time; several of its studies may be named")
    campaign = read_campaign(found[0][0], catalogue(), changes)
    wanted: set[str] = set()
    for _, study in found:
        if study is not None and study not in campaign.studies:
            raise UserError(unknown_study(campaign, study))
        wanted |= set(campaign.with_needs(study) if study else campaign.studies)
    names = [name for name in campaign.studies if name in wanted]
    if confirm is not None:
        named = [study for _, study in found if study is not None]
        campaign = confirming(campaign, named, ConfirmSettings.model_validate(confirm))
    home = Home.here()
    engine = LocalEngine(workers or len(os.sched_getaffinity(0)))
    with (Screen if sys.stdout.isatty() else Lines)(campaign.name) as observer:
        runner = Runner(campaign, names, home, engine, observer, budget=trials, timeout=timeout)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: runner.interrupt())
        records = runner.run()
    return summary(campaign, home, records, champion_among(home, campaign.name, records))
