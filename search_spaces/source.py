"""A YAML file as plain values that remember the line they stand on.

Scalars follow YAML 1.2: ``2e-3`` is a number (to YAML 1.1, and so to PyYAML as it comes, it is text), and ``on``,
``off``, ``yes`` and ``no`` are text. A key that stands twice in one mapping is a mistake, not an overwrite.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml.reader import ReaderError

from search_spaces.errors import CampaignError, Mistake

Place = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2's core schema."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  # PyYAML's own name and type


for _tag, _pattern, _first in (
    ("null", r"^(?:~|null|)$", ["~", "n", ""]),
    ("bool", r"^(?:true|false)$", ["t", "f"]),
    ("int", r"^[-+]?[0-9]+$", list("-+0123456789")),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", list("-+.0123456789")),
    ("merge", r"^<<$", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


def _decimal(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    """An integer in base ten: YAML 1.1 reads ``010`` as eight."""
    return int(node.value)


def _number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    return float(node.value)


_Loader.add_constructor("tag:yaml.org,2002:int", _decimal)
_Loader.add_constructor("tag:yaml.org,2002:float", _number)


@dataclass(frozen=True)
class Source:
    """The content of a YAML file.

    Attributes:
        path: The file.
        data: Its values: dicts, lists, str, int, float, bool, None.
        lines: The one-based line of every value, by its path of keys and indices.
    """

    path: Path
    data: Any
    lines: dict[Place, int]

    def line(self, path: Place) -> int:
        """The line of a value, or of the nearest value around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)


def read_source(path: Path) -> Source:
    """Read a YAML file.

    Raises:
        CampaignError: The file cannot be read, does not parse, or repeats a key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CampaignError(path, [Mistake(0, "", f"cannot be read: {error}")]) from error
    lines: dict[Place, int] = {}
    mistakes: list[Mistake] = []
    try:
        loader = _Loader(text)
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise CampaignError(
            path, [Mistake(line, "", f"is not text: it holds the character {error.character:#04x}")]
        ) from error
    try:
        node = loader.get_single_node()
        data = _value(loader, node, (), lines, mistakes) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise CampaignError(
            path, [Mistake(mark.line + 1 if mark else 0, "", f"is not YAML: {error.problem}")]
        ) from error
    except yaml.YAMLError as error:
        raise CampaignError(path, [Mistake(0, "", f"is not YAML: {error}")]) from error
    finally:
        loader.dispose()
    if mistakes:
        raise CampaignError(path, mistakes)
    return Source(path, data, lines)


def read_scalar(text: str) -> Any:
    """A value as it would be written in a file: a number, true, null, text, a list in brackets ...

    Raises:
        ValueError: The text is not YAML.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"{text!r} is not a value: {getattr(error, 'problem', error)}") from error


def _value(
    loader: _Loader, node: yaml.Node, place: Place, lines: dict[Place, int], mistakes: list[Mistake], depth: int = 0
) -> Any:
    lines[place] = node.start_mark.line + 1
    if depth > 50:
        raise yaml.MarkedYAMLError(problem="nested more than 50 deep", problem_mark=node.start_mark)
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, _ in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen and name != "<<":
                where = ".".join(map(str, (*place, name)))
                mistakes.append(Mistake(line, where, f"stands twice, first on line {seen[name]}"))
            seen[name] = line
        loader.flatten_mapping(node)
        result = {}
        for key, child in node.value:
            name = str(key.value)
            result[name] = _value(loader, child, (*place, name), lines, mistakes, depth + 1)
            lines[(*place, name)] = key.start_mark.line + 1
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, child, (*place, i), lines, mistakes, depth + 1) for i, child in enumerate(node.value)]
    try:
        return loader.construct_object(node)
    except (ValueError, KeyError) as error:  # a tag such as !!int before text that is none
        raise yaml.MarkedYAMLError(
            problem=f"{node.value!r} is no {node.tag.rpartition(':')[2]}", problem_mark=node.start_mark
        ) from error
