"""The training loop."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from search_spaces.axes.section import Section


class TrainSettings(Section):
    """One run of the training loop.

    Attributes:
        epochs: Passes over the training set.
        lr: Peak learning rate of AdamW.
        warmup: Share of all steps in which the learning rate rises to its peak, along a half cosine.
        weight_decay: Decoupled weight decay of AdamW.
        schedule: What follows the learning rate's peak: ``one_cycle``, a cosine down to nearly nothing (Smith & Topin
            2019); ``plateau``, a step down whenever the dev WER has got no better for a while.
        plateau_factor: What a step down multiplies the learning rate with; read by ``schedule: plateau`` alone.
        plateau_patience: Epochs without a better dev WER before a step down; read by ``schedule: plateau`` alone.
        clip: Largest norm of the gradient; a larger one is scaled down to it.
        batch_frames: Feature frames in a batch, padding included, before subsampling and stacking.
        ema: Decay of an exponential moving average of the weights, which is then what is evaluated and kept; 0 is none.
        average_last: Keep the mean of the weights after so many last epochs instead of the epoch with the lowest dev
            WER; 0 keeps that epoch.
        keep_epochs: Keep the weights after these epochs beside the checkpoint (`trainers.kept_epochs`).
        keep_last: Keep those after so many last epochs as well, wherever the run ends.
        patience: Stop after so many epochs without a better dev WER, those in which the network says nothing but blank
            not counted; 0 never stops early.
        precision: What the encoder computes in while it trains (`trainers.precision`).
        deterministic: Take only algorithms that give the same bits every time, also on a GPU, where some are slower.
        infeasible: What becomes of a training utterance whose transcript does not fit its frames: ``refuse`` starts
            nothing, ``drop`` leaves it out and says how many there were.
        seed: Seed of weights, batches, dropout and masks.
        feature_masks: Masks over neighbouring feature dimensions, an utterance (SpecAugment; Park et al. 2019).
        feature_mask_width: Largest width of a feature mask, in dimensions.
        time_masks: Masks over neighbouring frames, an utterance.
        time_mask_share: Largest width of a time mask, as a share of the utterance.
        time_rescale: Every utterance is stretched in time by a factor of at most so much above or below 1.
        band_warp: Every utterance's bands are stretched likewise.
    """

    epochs: int = Field(12, ge=1, le=10_000)
    lr: float = Field(6e-3, gt=0, le=1)
    warmup: float = Field(0.15, ge=0, le=1)
    weight_decay: float = Field(1e-4, ge=0, le=1)
    schedule: Literal["one_cycle", "plateau"] = "one_cycle"
    plateau_factor: float = Field(0.5, gt=0, lt=1)
    plateau_patience: int = Field(3, ge=1)
    clip: float = Field(1.0, gt=0)
    batch_frames: int = Field(2400, ge=1)
    ema: float = Field(0.0, ge=0, lt=1)
    average_last: int = Field(0, ge=0)
    keep_epochs: tuple[Annotated[int, Field(ge=1)], ...] = Field((), strict=False)
    keep_last: int = Field(0, ge=0)
    patience: int = Field(0, ge=0)
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    deterministic: bool = False
    infeasible: Literal["refuse", "drop"] = "refuse"
    seed: int = Field(1, ge=0, lt=2**31)
    feature_masks: int = Field(2, ge=0, le=16)
    feature_mask_width: int = Field(8, ge=0)
    time_masks: int = Field(2, ge=0, le=64)
    time_mask_share: float = Field(1 / 12, ge=0, le=1)
    time_rescale: float = Field(0.0, ge=0, le=0.5)
    band_warp: float = Field(0.0, ge=0, le=0.5)

    @field_validator("average_last")
    @classmethod
    def _average_once(cls, count: int, info: ValidationInfo) -> int:
        if count and info.data.get("ema"):
            raise ValueError("last epochs and a moving average (ema) are not averaged together; set one of them to 0")
        epochs = info.data.get("epochs", count)
        if count > epochs:
            raise ValueError(f"there are only {epochs} epochs whose weights could be averaged")
        return count

    @field_validator("keep_epochs")
    @classmethod
    def _keep_what_is_trained(cls, chosen: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        epochs = info.data.get("epochs", max(chosen, default=0))
        beyond = [epoch for epoch in chosen if epoch > epochs]
        if beyond:
            raise ValueError(f"there are only {epochs} epochs, and no epoch {', '.join(map(str, beyond))} to keep")
        return tuple(sorted(set(chosen)))

    @field_validator("keep_last")
    @classmethod
    def _keep_no_more_than_there_is(cls, count: int, info: ValidationInfo) -> int:
        epochs = info.data.get("epochs", count)
        if count > epochs:
            raise ValueError(f"there are only {epochs} epochs whose weights could be kept")
        return count

    @field_validator("patience")
    @classmethod
    def _outlast_a_step_down(cls, patience: int, info: ValidationInfo) -> int:
        steps = info.data.get("plateau_patience", 0) if info.data.get("schedule") == "plateau" else 0
        if 0 < patience <= steps:
            raise ValueError(f"ends the run before its learning rate steps down, after plateau_patience {steps} epochs")
        return patience
