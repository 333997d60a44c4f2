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
) -> None:
    """Write clips into a batch: scaled by their step or to a peak of 1, then zeros; True on audio.

    Raises:
        ValueError: If sizes do not fit.
    """

def stamps(paths: tuple[bytes, ...], /) -> list[tuple[int, int, int] | None]:
    """Return inode, size in bytes and time of change in ns of files, None where there is none.

    Not there on Windows.
    """
