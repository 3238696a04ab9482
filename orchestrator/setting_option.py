"""The option ``--set KEY=VALUE`` of several commands."""

from typing import Any

import click


def read_changes(context: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    """Settings by dotted name from words such as ``train.epochs=20``; a callback of click.

    Raises:
        BadParameter: A word is not KEY=VALUE.
    """
    from search_spaces.source import read_scalar

    changes = {}
    for value in values:
        key, mark, text = value.partition("=")
        if not mark or not key:
            raise click.BadParameter(f"{value!r} is not KEY=VALUE, such as train.epochs=20")
        try:
            changes[key] = read_scalar(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error
    return changes
