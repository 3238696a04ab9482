"""Collecting the mistakes of a campaign file, each with its place and the names that would have been valid."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from search_spaces.axes.section import Section
from search_spaces.axes.settings import with_sections
from search_spaces.errors import Mistake
from search_spaces.schema import Catalogue
from search_spaces.source import Place, Source


class Checker:
    """Collects mistakes while a file is read.

    Attributes:
        source: The file.
        catalogue: The strategies there are; None when only the shape of the file is read.
        model: Settings with the sections of all strategies.
        mistakes: What was found so far.
    """

    def __init__(self, source: Source, catalogue: Catalogue | None) -> None:
        self.source = source
        self.catalogue = catalogue
        sections = {name: kind for schema in (catalogue or {}).values() for name, kind in schema.sections.items()}
        self.model = with_sections(sections)
        self.mistakes: list[Mistake] = []

    def add(self, place: Place, message: str) -> None:
        """Note a mistake at a place of the file."""
        self.mistakes.append(Mistake(self.source.line(place), ".".join(map(str, place)), message))

    def unknown(self, place: Place, kind: str, valid: Iterable[str]) -> None:
        """Note a name that is none of the valid ones."""
        self.add(place, unknown_name(kind, str(place[-1]), valid))

    def validation(self, place: Place, error: ValidationError, model: type[Section]) -> None:
        """Note every mistake that a section's declaration found in the values at a place."""
        wrong: dict[Place, list[Mapping[str, Any]]] = {}
        for detail in error.errors():
            location = tuple(detail["loc"])
            if detail["type"] == "extra_forbidden":
                self.unknown((*place, *location), "key", fields_at(model, location[:-1]))
            elif detail["type"] == "missing":
                self.add((*place, *location), plain_message(detail))
            else:
                wrong.setdefault(self._written((*place, *location)), []).append(detail)
        for where, details in wrong.items():
            self.add(where, plain_message(*details))

    def _written(self, place: Place) -> Place:
        """The place without the steps that the file does not have, such as the alternatives of a type."""
        value = self.source.data
        for depth, step in enumerate(place):
            inside = step in value if isinstance(value, dict) else isinstance(value, list) and step in range(len(value))
            if not inside:
                return place[:depth]
            value = value[step]
        return place


def plain_message(detail: Mapping[str, Any], *others: Mapping[str, Any]) -> str:
    """A validator's message in plain words, with the value it objects to; several where its type is one of several."""
    if detail["type"] == "missing":
        return "is missing"
    messages = [str(one["msg"]).removeprefix("Input ").removeprefix("Value error, ") for one in (detail, *others)]
    first, *rest = dict.fromkeys(messages)
    alternatives = [first, *(message.removeprefix("should be ") for message in rest)]
    return f"{' or '.join(alternatives)}; got {detail['input']!r}"


def fields_at(model: type[Section], location: tuple[Any, ...]) -> list[str]:
    """Names that are valid inside the section at a location."""
    for step in location:
        field = model.model_fields.get(str(step))
        inner = section_of(field.annotation) if field else None
        if inner is None:
            return []
        model = inner
    return [field.alias or name for name, field in model.model_fields.items()]


def section_of(annotation: Any) -> type[Section] | None:
    """The section in an annotation such as ``Section`` or ``Section | None``."""
    candidates = (annotation, *getattr(annotation, "__args__", ()))
    return next((kind for kind in candidates if isinstance(kind, type) and issubclass(kind, Section)), None)


def unknown_name(kind: str, name: str, valid: Iterable[str]) -> str:
    """Say that a name is unknown, what it may have meant, and what there is."""
    names = list(valid)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown {kind} {name!r}; {hint}valid: {', '.join(names) if names else 'none'}"


def file_roots(campaign: Path) -> list[Path]:
    """The folders in which a file that a campaign names may lie, in the order in which they are looked in."""
    folder = campaign.resolve().parent
    return list(dict.fromkeys([folder, folder.parent, Path.cwd()]))


def find_file(check: Checker, place: Place, value: Any, *, folders: bool = False, hint: str = "") -> Path | None:
    """A file that a campaign names: relative to the campaign's folder, the folder above it, or the working folder.

    Args:
        check: Takes the mistake if there is no such file.
        place: Where the campaign names it.
        value: What stands there.
        folders: Whether a folder is as good as a file.
        hint: How the file is come by, for the message.

    Returns:
        The file; None where there is none, or, when only the shape of the campaign is read, the first place it may be.
    """
    if not isinstance(value, str) or not value:
        check.add(place, f"needs the path of a file; got {value!r}")
        return None
    roots = file_roots(check.source.path)
    for root in roots:
        if (root / value).is_file() or (folders and (root / value).is_dir()):
            return (root / value).resolve()
    if check.catalogue is None:
        return roots[0] / value
    said = f"no such file: {value}; looked in {', '.join(map(str, roots))}"
    check.add(place, f"{said}; {hint}" if hint else said)
    return None
