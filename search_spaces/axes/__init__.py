"""The settings a trial can have, one section a module; a dotted name such as ``train.lr`` is an axis.

A section is a frozen value with a range for every field. What a campaign file may write, what a study may search
and what a trial runs with are therefore checked by one and the same declaration.
"""
