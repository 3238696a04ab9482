"""A page as a browser would take it in: its elements, their attributes, and its text."""

from html.parser import HTMLParser

VOID = {"meta", "img", "br", "hr", "input", "link"}


class Page(HTMLParser):
    """A parsed page.

    Attributes:
        elements: Every element with its attributes, in order.
        text: What stands between the elements, styles left out.
        cells: Rows of tables, the text of each cell.
    """

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.elements, self.cells, self._open, self._parts = [], [], [], []
        self.feed(html)
        self.close()
        assert not self._open, f"left open: {self._open}"
        self.text = " ".join("".join(self._parts).split())

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "tr":
            self.cells.append([])
        elif tag in ("td", "th"):
            self.cells[-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] == "style":
            return
        self._parts.append(data)
        if "td" in self._open or "th" in self._open:
            self.cells[-1][-1] += data

    def all(self, tag):
        """The attributes of every element of a name."""
        return [attributes for name, attributes in self.elements if name == tag]


def fetched(page):
    """What a browser would fetch for a page, links that a reader must click left out."""
    found = []
    for tag, attributes in page.elements:
        for name in ("src", "srcset", "href", "xlink:href", "data", "action", "poster", "background"):
            value = attributes.get(name)
            if value and tag != "a" and not value.startswith(("#", "data:")):
                found.append((tag, value))
    return found
