"""The strategies, one file each; a file that is put here is found by its name.

``my_idea.py`` holds a class ``MyIdea`` derived from `trainers.strategy.Strategy` (or `TrainingStrategy`) whose schema
is named ``my_idea``; a campaign asks for it with ``strategy: my_idea``.
"""

import sys
from functools import cache

from search_spaces.axes.section import Section
from search_spaces.schema import Catalogue
from trainers.by_name import class_named, names_in
from trainers.strategy import Strategy


def strategy_names() -> list[str]:
    """Names of all strategies."""
    return names_in(sys.modules[__name__])


@cache
def find_strategy(name: str) -> type[Strategy]:
    """The strategy of a name.

    Raises:
        TypeError: The file does not hold the class that its name promises.
    """
    here = sys.modules[__name__]
    return class_named(here, name, Strategy, lambda one: one.schema.name, "schema is named")  # type: ignore[type-abstract]


@cache
def catalogue() -> Catalogue:
    """The schemas of all strategies, by name."""
    return {name: find_strategy(name).schema for name in strategy_names()}


def sections() -> dict[str, type[Section]]:
    """The sections of settings that strategies add."""
    return {name: kind for schema in catalogue().values() for name, kind in schema.sections.items()}
