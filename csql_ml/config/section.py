"""What every part of the configuration is made of."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

#: Feature sets are bit masks that must survive a float64.
MOST_BITS = 53
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Stage = Literal["accepted", "opportunity", "won"]
Gate = Literal["value_proven", "next_product", "buyer_identified", "timing"]


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]
#: Names become parts of column names, which databases cut after 63 characters.
OwnName = Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,39}$")]
Language = Literal["en", "de", "fr", "es"]


class Section(BaseModel):
    """A frozen part of the configuration that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
