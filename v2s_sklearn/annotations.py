"""Names for the types of arguments that several public functions take."""

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from v2s_sklearn.acoustic.interface import AcousticModel

#: A name, the path of a weights file, or a model.
Source: TypeAlias = str | Path | AcousticModel
RandomState: TypeAlias = int | np.random.RandomState | None
#: Weights of classes, by label or "balanced".
ClassWeight: TypeAlias = dict[Any, float] | str | None
#: Series, labels or values in any container; what they have to be is checked when they are used.
Cases: TypeAlias = Any
