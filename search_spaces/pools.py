"""Pools: needs that take all trials of a study, or single ones as ``study#number``."""

import re
from collections.abc import Collection

from search_spaces.campaign import study_of
from search_spaces.checking import Checker, unknown_name
from search_spaces.source import Place


def check_pooled(check: Checker, place: Place, name: str, studies: Collection[str]) -> None:
    """Note a mistake if a name stands for no member of a pool.

    Args:
        check: Takes the mistake.
        place: Where it is named.
        name: What is named: a study, one trial of a study, or the folder of a checkpoint.
        studies: The studies that could be named.
    """
    if "/" in name:
        return
    study, number = study_of(name), name[len(study_of(name)) :]
    if study not in studies:
        check.add(place, unknown_name("study", study, studies))
        return
    if number and not re.fullmatch(r"#\d+", number):
        check.add(place, f"{name!r} names no trial; write {study} for all complete trials, or {study}#2 for trial 2")
        return
    body = check.source.data["studies"][study]
    schema = (check.catalogue or {}).get(body.get("strategy", "")) if isinstance(body, dict) else None
    if schema is not None and not schema.trains and schema.axes:
        said = f"study {study} (strategy {schema.name}) only searches over what others trained; name those studies"
        check.add(place, said)
