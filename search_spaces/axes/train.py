"""The training loop."""

from pydantic import Field

from search_spaces.axes.section import Section


class TrainSettings(Section):
    """One run of the training loop.

    Attributes:
        epochs: Passes over the training set.
        lr: Peak learning rate of AdamW.
        warmup: Share of all steps in which the learning rate rises to its peak; a cosine brings it down again
            (one-cycle; Smith & Topin 2019).
        weight_decay: Decoupled weight decay of AdamW.
        clip: Largest norm of the gradient; a larger one is scaled down to it.
        batch_frames: Feature frames in a batch, padding included, before subsampling and stacking.
        ema: Decay of an exponential moving average of the weights, which is then what is evaluated and kept; 0 is none.
        patience: Stop after so many epochs without a better dev WER; 0 never stops early.
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
    clip: float = Field(1.0, gt=0)
    batch_frames: int = Field(2400, ge=1)
    ema: float = Field(0.0, ge=0, lt=1)
    patience: int = Field(0, ge=0)
    seed: int = Field(1, ge=0, lt=2**31)
    feature_masks: int = Field(2, ge=0, le=16)
    feature_mask_width: int = Field(8, ge=0)
    time_masks: int = Field(2, ge=0, le=64)
    time_mask_share: float = Field(1 / 12, ge=0, le=1)
    time_rescale: float = Field(0.0, ge=0, le=0.5)
    band_warp: float = Field(0.0, ge=0, le=0.5)
