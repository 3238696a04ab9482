"""What every section of settings is made of."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError


class Section(BaseModel):
    """A frozen group of settings under one name, such as ``train``.

    Unknown keys, NaN, infinity and values of another type are refused: ``epochs: true`` is not one epoch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())


def mistakes_at(places: Iterable[tuple[str, ...]], message: str, value: Any) -> ValidationError:
    """What a validator of a whole section raises when single settings of it do not go together.

    Args:
        places: Their names, from the section downwards.
        message: What is wrong with each.
        value: What stands there, for the message.
    """
    fault = PydanticCustomError("do_not_go_together", "{said}", {"said": message})
    details = [InitErrorDetails(type=fault, loc=place, input=value) for place in places]
    return ValidationError.from_exception_data("settings", details)
