"""The strategies, one file each; a file that is put here is found by its name.

``my_idea.py`` holds a class ``MyIdea`` derived from `trainers.strategy.Strategy` (or `TrainingStrategy`) whose schema
is named ``my_idea``; a campaign asks for it with ``strategy: my_idea``.
"""

import importlib
import pkgutil
from functools import cache

from search_spaces.axes.section import Section
from search_spaces.schema import Catalogue
from trainers.strategy import Strategy


def strategy_names() -> list[str]:
    """Names of all strategies."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


@cache
def find_strategy(name: str) -> type[Strategy]:
    """The strategy of a name.

    Raises:
        TypeError: The file does not hold the class that its name promises.
    """
    module = importlib.import_module(f"{__name__}.{name}")
    wanted = "".join(part.capitalize() for part in name.split("_"))
    found = getattr(module, wanted, None)
    if not (isinstance(found, type) and issubclass(found, Strategy) and found.schema.name == name):
        raise TypeError(f"{module.__file__} must hold a class {wanted}(Strategy) whose schema is named {name!r}")
    return found


@cache
def catalogue() -> Catalogue:
    """The schemas of all strategies, by name."""
    return {name: find_strategy(name).schema for name in strategy_names()}


def sections() -> dict[str, type[Section]]:
    """The sections of settings that strategies add."""
    return {name: kind for schema in catalogue().values() for name, kind in schema.sections.items()}
