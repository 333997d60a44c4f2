"""Audio as rows hold it, encoded, decoded or still a decoder, to encoded bytes; at another rate."""

import io
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

ENDINGS: Final = frozenset(f".{name.lower()}" for name in soundfile.available_formats())
"""Of the names of audio files."""

DECODED: Final = ("array", "sampling_rate")
"""Keys of audio that was decoded, as `datasets` names them."""


def is_audio(value: Any) -> bool:
    """Return whether a value that no feature describes is audio."""
    if not isinstance(value, dict):
        return hasattr(value, "get_all_samples")
    if value.keys() >= set(DECODED):
        return True
    if value.keys() != {"bytes", "path"}:
        return False
    if value["bytes"] is None:
        return Path(str(value["path"])).suffix.lower() in ENDINGS
    try:
        soundfile.info(io.BytesIO(value["bytes"]))
    except (soundfile.LibsndfileError, TypeError):
        return False
    return True


def audio_cell(value: Any) -> dict[str, Any] | None:
    """Return audio as a Parquet file holds it: `bytes` of an audio file, or the `path` of one.

    Args:
        value: Encoded bytes, a path, a dictionary of either, one of samples (`array` of shape
            `(num_samples,)` or `(num_channels, num_samples)`, `sampling_rate` in Hz), or a
            decoder of torchcodec; None stays. Samples become a WAV file of 16 bits.

    Raises:
        ValueError: If it is none of these.
    """
    if value is None:
        return None
    if isinstance(value, bytes | bytearray):
        return {"bytes": bytes(value), "path": None}
    if isinstance(value, str | Path):
        return {"bytes": None, "path": str(value)}
    if isinstance(encoded := getattr(value, "_hf_encoded", value), dict):
        return _of_fields(encoded)
    if hasattr(value, "get_all_samples"):
        samples = value.get_all_samples()
        return _wav(samples.data.cpu().numpy(), samples.sample_rate)
    raise ValueError(
        f"audio must be encoded bytes, a path, samples or a decoder, got {value!r:.60}"
    )


def _of_fields(value: dict[str, Any]) -> dict[str, Any]:
    if value.get("bytes") is not None or value.get("path") is not None:
        return {"bytes": value.get("bytes"), "path": value.get("path")}
    if value.get("array") is not None:
        return _wav(np.asarray(value["array"]), int(value["sampling_rate"]))
    raise ValueError(f"audio must have bytes, a path, or an array, has {', '.join(value)}")


def _wav(samples: NDArray[Any], rate_hz: int) -> dict[str, Any]:
    if samples.dtype != np.int16:
        samples = samples.astype(np.float32)
    file = io.BytesIO()
    soundfile.write(file, samples.T, rate_hz, format="WAV", subtype="PCM_16")
    return {"bytes": file.getvalue(), "path": None}


def resampled(encoded: bytes | None, rate_hz: int) -> bytes | None:
    """Return an audio file at a sample rate: itself, or mono 16-bit in the same container.

    Args:
        encoded: FLAC, WAV or another format of libsndfile; others are left as they are.
        rate_hz: The rate, in Hz.
    """
    if encoded is None:
        return None
    try:
        with soundfile.SoundFile(io.BytesIO(encoded)) as file:
            if file.samplerate == rate_hz:
                return encoded
            wave = file.read(dtype="float32", always_2d=True).mean(axis=1)
            from_hz, container = file.samplerate, file.format
    except soundfile.LibsndfileError:
        return encoded
    new = io.BytesIO()
    format_ = container if container in ("WAV", "FLAC") else "FLAC"
    at_rate = soxr.resample(wave, from_hz, rate_hz, quality="HQ")
    soundfile.write(new, at_rate, rate_hz, format=format_, subtype="PCM_16")
    return new.getvalue()
