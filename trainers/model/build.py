"""From settings to a network: the one place where networks are built."""

from search_spaces.axes.model import ModelSettings
from trainers.model.network import EncoderNetwork, Network
from trainers.model.own import OwnNetwork


def build_network(settings: ModelSettings, inputs: int, labels: int) -> Network:
    """A network with random weights.

    Args:
        settings: Which network and how large.
        inputs: Dimensions of a feature frame.
        labels: Labels, the blank included.

    Raises:
        ModelError: It is a module of the user's own that cannot be imported or built.
    """
    kind = EncoderNetwork if settings.class_path is None else OwnNetwork
    return kind(settings, inputs, labels)
