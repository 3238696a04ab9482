"""The rules by which trained systems are combined, one file each; a file that is put here is found by its name.

``my_rule.py`` holds a class ``MyRule`` derived from one of the classes of `trainers.combining.rule`, whose name is
``my_rule``.
"""

import json
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

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


def plain_rule(rule: FusionRule) -> dict[str, Any]:
    """A rule with its settings as plain values, from which `read_rule` makes it again."""
    return {"rule": rule.name, "settings": rule.settings.model_dump()}


def read_rule(plain: Mapping[str, Any]) -> FusionRule:
    """The rule that `plain_rule` wrote; JSON may have made its tuples lists.

    Raises:
        ImportError: There is no such rule.
        ValueError: It does not take these settings.
        KeyError: Something is missing.
    """
    kind = find_rule(plain["rule"])
    return kind(kind.Settings.model_validate_json(json.dumps(plain["settings"])))
