"""What every section of settings is made of."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen group of settings under one name, such as ``train``; unknown keys, NaN and infinity are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())
