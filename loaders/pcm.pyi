import numpy as np
import numpy.typing as npt

from sousa.loaders.sound import Samples, Wave

def write_batch(
    samples: list[Samples],
    steps: list[float],
    lengths: list[int],
    waveforms: Wave,
    mask: npt.NDArray[np.bool_],
    normalize: bool,
    /,
) -> None: ...
