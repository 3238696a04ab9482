"""A campaign on one page: the answer first, then the figures, the errors and the methods it rests on."""

from orchestrator.report.material import Material, read_material
from orchestrator.report.page import is_report, render

__all__ = ["Material", "is_report", "read_material", "render"]
