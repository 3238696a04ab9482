"""Classes that are found by the names of their files: ``my_idea.py`` in a package holds a class ``MyIdea``."""

import importlib
import pkgutil
from collections.abc import Callable
from types import ModuleType
from typing import TypeVar

_Kind = TypeVar("_Kind")


def names_in(package: ModuleType) -> list[str]:
    """Names of the files of a package, in order."""
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def class_named(
    package: ModuleType, name: str, kind: type[_Kind], its_name: Callable[[type[_Kind]], str], words: str
) -> type[_Kind]:
    """The class that a file's name promises.

    Args:
        package: Where the file lies.
        name: Its name.
        kind: What the class is derived from.
        its_name: What the class says its name is.
        words: How that is said in the message: ``whose`` so and so is the name.

    Raises:
        TypeError: The file does not hold it, or it has another name.
    """
    module = importlib.import_module(f"{package.__name__}.{name}")
    wanted = "".join(part.capitalize() for part in name.split("_"))
    found = getattr(module, wanted, None)
    if not (isinstance(found, type) and issubclass(found, kind) and its_name(found) == name):
        raise TypeError(f"{module.__file__} must hold a class {wanted}({kind.__name__}) whose {words} {name!r}")
    return found
