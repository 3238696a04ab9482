"""The surfaces of decoding studies as figures of a page."""

import base64
import io
import re

from orchestrator.report.figures import Figure
from orchestrator.report.material import Material

_LARGEST = 300_000  # characters of a drawing; one of thousands of points becomes a picture
_DOTS = 150  # an inch


def surface_figures(material: Material) -> dict[str, Figure | None]:
    """What each study searched, by its name; None for one that varied no axis that has a measure."""
    return {name: _figure(material, name) for name in material.surfaces}


def _figure(material: Material, name: str) -> Figure | None:
    from orchestrator.surface_plot import draw_surface  # matplotlib takes most of a second

    surface, study = material.surfaces[name], material.study(name)
    drawn = draw_surface(material.campaign.studies[name], study, surface, f"{study.campaign}/{name}, dev WER")
    if drawn is None:
        return None
    import matplotlib as mpl

    with io.StringIO() as file, mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        drawn.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
        svg = _inline(file.getvalue(), name)
    if len(svg) > _LARGEST:
        with io.BytesIO() as picture:
            drawn.savefig(picture, format="png", dpi=_DOTS)
            data = base64.b64encode(picture.getvalue()).decode("ascii")
        svg = f'<img src="data:image/png;base64,{data}" alt="">'
    caption = f"{str(surface)[0].upper()}{str(surface)[1:]}."
    return Figure(svg, f"Dev WER of {name} over the weights that it searched. {caption}", caption, wide=True)


def _inline(svg: str, name: str) -> str:
    """The element alone, with ids that are its own among several on a page."""
    svg = svg[svg.index("<svg") :].replace("<svg ", '<svg class="plot" ', 1)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg, count=2)
    svg = svg.replace("xlink:href=", "href=")
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
