"""Where campaign files are found."""

import difflib
from pathlib import Path

from search_spaces.errors import UserError

SHIPPED = Path(__file__).parent


def campaign_files() -> dict[str, Path]:
    """Every campaign by name: those here, those in ``search_spaces/`` here, and those that are shipped."""
    found: dict[str, Path] = {}
    for folder in (Path.cwd(), Path.cwd() / "search_spaces", SHIPPED):
        for path in sorted(folder.glob("*.yaml")):
            if _is_campaign(path):
                found.setdefault(path.stem, path)
    return found


def _is_campaign(path: Path) -> bool:
    """Whether a YAML file is meant as a campaign: a broken one is shown too, so that its mistake is."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    return any(line.startswith("campaign:") for line in lines)


def find_campaign(target: str) -> tuple[Path, str | None]:
    """The file of ``CAMPAIGN`` or ``CAMPAIGN/STUDY``, where a campaign is a name or the path of a YAML file.

    Returns:
        The file, and the name of the study if one was named.

    Raises:
        UserError: There is no such campaign; the message has the nearest names.
    """
    for suffix in (".yaml", ".yml"):
        head, mark, study = target.partition(f"{suffix}/")
        if mark or target.endswith(suffix):
            path = Path(head + suffix if mark else target)
            if not path.is_file():
                raise UserError(f"no such campaign file: {path}")
            return path, study or None
    name, _, study = target.partition("/")
    found = campaign_files()
    if name not in found:
        near = difflib.get_close_matches(name, found, n=3)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        listed = ", ".join(sorted(found)) or "none"
        raise UserError(
            f"no campaign {name!r}; {hint}campaigns here: {listed}; a path to a .yaml file stands for one too"
        )
    return found[name], study or None
