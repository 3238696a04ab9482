"""The rules by which trained systems are combined, one file each; a file that is put here is found by its name.

``my_rule.py`` holds a class ``MyRule`` derived from one of the classes of `trainers.combining.rule`, whose name is
``my_rule``.
"""

import importlib
import pkgutil
from functools import cache

from trainers.combining.rule import FusionRule

DEFAULT = "joint_rescoring"


def rule_names() -> list[str]:
    """Names of all rules."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


@cache
def find_rule(name: str) -> type[FusionRule]:
    """The rule of a name.

    Raises:
        TypeError: The file does not hold the class that its name promises.
    """
    module = importlib.import_module(f"{__name__}.{name}")
    wanted = "".join(part.capitalize() for part in name.split("_"))
    found = getattr(module, wanted, None)
    if not (isinstance(found, type) and issubclass(found, FusionRule) and found.name == name):
        raise TypeError(f"{module.__file__} must hold a class {wanted}(FusionRule) whose name is {name!r}")
    return found
