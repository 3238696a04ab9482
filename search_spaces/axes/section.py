"""What every section of settings is made of."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen group of settings under one name, such as ``train``.

    Unknown keys, NaN, infinity and values of another type are refused: ``epochs: true`` is not one epoch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())
