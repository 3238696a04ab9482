"""What a module of the user's own must keep, looked at once before anything is trained."""

import torch
from safetensors.torch import save
from torch import Tensor

from search_spaces.errors import ModelError
from trainers.model.own import OwnNetwork

_ROUNDING = 1e-3  # of a sum of probabilities, and between an utterance alone and in a batch


def check_contract(network: OwnNetwork, features: Tensor, lengths: Tensor) -> list[str]:
    """Show a batch to a module and hold its answer against what every network promises.

    Args:
        network: In any mode; it is left in evaluation mode.
        features: (batch, frames, dimensions), zero behind an utterance's end.
        lengths: Frames of each utterance, (batch,), int64; not all the same.

    Returns:
        What the user should know: the module reads padding.

    Raises:
        ModelError: It does not run, or its output or its weights cannot be used; the message says why.
    """
    name = type(network.model).__name__
    _refuse_weights(network, name)
    network.eval()
    with torch.no_grad():
        together, frames = _run(network, name, features, lengths)
        declared = network.lengths_after(lengths)
        if declared.tolist() != frames.tolist():
            raise ModelError(
                f"{name} makes {frames.tolist()} output frames of {lengths.tolist()} frames in a batch, and "
                f"{declared.tolist()} by output_lengths or alone: they must follow from an utterance's own length"
            )
        index = int(lengths.argmin())
        alone, (count,) = _run(network, name, features[index : index + 1, : lengths[index]], lengths[index : index + 1])
        if int(count) != int(frames[index]):
            raise ModelError(
                f"{name} makes {int(count)} frames of an utterance alone, and {int(frames[index])} in a batch"
            )
    odd = float((alone[0, :count] - together[index, :count]).abs().max())
    if odd <= _ROUNDING:
        return []
    return [
        f"{name} reads padding: log-probabilities of an utterance differ by {odd:.2g} between alone and in a padded "
        "batch, so results depend on which utterances share a batch; pack sequences or mask frames behind the lengths"
    ]


def _refuse_weights(network: OwnNetwork, name: str) -> None:
    if not network.weights():
        raise ModelError(f"{name} has no weights that can be trained")
    try:
        save({key: weight.contiguous() for key, weight in network.state_dict().items()})
    except (RuntimeError, ValueError, AttributeError) as error:
        raise ModelError(f"the weights of {name} cannot be saved, shared ones perhaps: {error}") from error


def _run(network: OwnNetwork, name: str, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """The module's answer, once it has been found to be one."""
    try:
        answer = network.model(features, lengths)
    except Exception as error:
        raise ModelError(
            f"{name} fails on features of shape {tuple(features.shape)}: {type(error).__name__}: {error}"
        ) from error
    if not (isinstance(answer, tuple) and len(answer) == 2 and all(isinstance(part, Tensor) for part in answer)):
        raise ModelError(f"{name} should return two tensors, (log-probabilities, output lengths); got {_kind(answer)}")
    log_probs, frames = answer
    batch = len(lengths)
    if log_probs.dim() != 3 or len(log_probs) != batch or log_probs.shape[2] != network.labels:
        raise ModelError(
            f"{name} should return log-probabilities of shape ({batch}, frames, {network.labels}), batch first and one "
            f"column a label; got {tuple(log_probs.shape)}"
        )
    if frames.shape != (batch,) or frames.is_floating_point():
        raise ModelError(
            f"{name} should return output lengths as whole numbers of shape ({batch},); got {frames.dtype} of shape "
            f"{tuple(frames.shape)}"
        )
    if int(frames.min()) < 1 or int(frames.max()) > log_probs.shape[1]:
        raise ModelError(
            f"{name} returns output lengths {frames.tolist()}; they should be 1 to {log_probs.shape[1]}, the frames of "
            "its log-probabilities"
        )
    valid = torch.cat([log_probs[row, :count] for row, count in enumerate(frames.tolist())]).float()
    if not bool(torch.isfinite(valid).all()):
        raise ModelError(f"{name} returns NaN or infinity with its first, random weights")
    sums = valid.exp().sum(-1)
    if float((sums - 1).abs().max()) > _ROUNDING:
        raise ModelError(
            f"{name} returns no log-probabilities: those of a frame sum to {float(sums[0]):.4g}, not 1; "
            "end with torch.log_softmax(logits, dim=-1)"
        )
    return log_probs.float(), frames


def _kind(answer: object) -> str:
    if isinstance(answer, tuple):
        return f"a tuple of {', '.join(type(part).__name__ for part in answer)}"
    return type(answer).__name__
