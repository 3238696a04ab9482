"""The rules by which trained systems are combined, one file each; a file that is put here is found by its name.

``my_rule.py`` holds a class ``MyRule`` derived from one of the classes of `trainers.combining.rule`, whose name is
``my_rule``.
"""

import sys
from functools import cache

from trainers.by_name import class_named, names_in
from trainers.combining.rule import FusionRule

DEFAULT = "joint_rescoring"


def rule_names() -> list[str]:
    """Names of all rules."""
    return names_in(sys.modules[__name__])


@cache
def find_rule(name: str) -> type[FusionRule]:
    """The rule of a name.

    Raises:
        TypeError: The file does not hold the class that its name promises.
    """
    return class_named(sys.modules[__name__], name, FusionRule, lambda one: one.name, "name is")
