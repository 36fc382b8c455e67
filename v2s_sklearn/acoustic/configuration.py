"""Configurations in files, checked by type and range before anything is built from them.

A file of a few bytes may ask for a network of gigabytes, or for one that cannot work. What sizes tensors is compared
with those of the file afterwards, see `v2s_sklearn.acoustic.storage`.

Shape legend: S waveform samples, F frames, M mel bands.
"""

import inspect

from v2s_sklearn.acoustic.frontend import LogMel
from v2s_sklearn.acoustic.interface import AcousticModel
from v2s_sklearn.errors import WeightsError

MAX_SAMPLES = 2**19  # half a minute at 16 kHz
MAX_FRAMES = 2**14
MAX_LAYERS = 64
MAX_WIDTH = 2**12
# Values of the largest layer over the waveform, and over the spectrogram.
MAX_WAVEFORM_VALUES, MAX_SPECTROGRAM_VALUES = 2**26, 2**25
# Values of a spectrum F x n_fft and of the mel filters n_fft x M; multiplications of filters on the waveform.
MAX_SPECTRUM_VALUES, MAX_FILTER_VALUES, MAX_FILTER_PRODUCTS = 2**23, 2**21, 2**35


def integer(low, high):
    """Return what is needed, in words, and the check of it: an integer in a range, both ends included."""
    return f"an integer from {low} to {high}", lambda value: type(value) is int and low <= value <= high


def number(low, high, above=False):
    """Return need and check of a finite number in a range; with ``above`` its lower end excluded."""

    def check(value):
        """Return whether a value is such a number; booleans are none."""
        return type(value) in (int, float) and low <= value <= high and not (above and value == low)

    return f"a number {'above' if above else 'from'} {low:g}{',' if above else ''} up to {high:g}", check


def sequence(item, least, most):
    """Return need and check of a list of what ``item`` is the need and check of."""
    need, check = item

    def check_all(value):
        """Return whether a value is such a list."""
        return isinstance(value, list | tuple) and least <= len(value) <= most and all(map(check, value))

    return f"a list of {least} to {most}, each {need}", check_all


SIZE, LAYERS = integer(1, MAX_WIDTH), integer(1, MAX_LAYERS)
SIZES = sequence(SIZE, 1, MAX_LAYERS)
SAMPLES, SAMPLE_RATE = integer(1, MAX_SAMPLES), integer(1000, 384_000)
FOURIER_LENGTH, MEL_BANDS = integer(2, 2**15), integer(1, 1024)

# Need and check of each argument by its name, which means the same in all architectures but those below.
PARAMETERS = {
    "source_labels": sequence(("a text", lambda value: isinstance(value, str)), 1, MAX_WIDTH),
    "sample_rate": SAMPLE_RATE,
    "n_samples": SAMPLES,
    "batch_norm": ("true or false", lambda value: isinstance(value, bool)),
    "band_filters": sequence(SIZE, 0, MAX_LAYERS),
    "channels": SIZES,
    "conv_channels": sequence(SIZE, 2, 2),
    "dense_sizes": sequence(SIZE, 0, MAX_LAYERS),
    "dropout": ("a number from 0 to 1, not 1 itself", lambda value: type(value) in (int, float) and 0 <= value < 1),
    "encoder_channels": sequence(SIZE, 5, 5),
    "f_max": number(0, 192_000, above=True),
    "f_min": number(0, 192_000),
    "frontend": ("null, an object or 'audioset'", lambda value: value in (None, "audioset") or isinstance(value, dict)),
    "hidden_size": SIZE,
    "hidden_sizes": sequence(SIZE, 0, MAX_LAYERS),
    "hop": SAMPLES,
    "kernel_size": integer(1, MAX_WIDTH),
    "kernel_sizes": sequence(integer(1, 127), 1, MAX_LAYERS),
    "n_bands": SIZE,
    "n_blocks": LAYERS,
    "n_context_layers": LAYERS,
    "n_filters": SIZE,
    "n_points": integer(8, MAX_FRAMES),
    "n_steps": LAYERS,
    "pool": SAMPLES,
    "pool_size": sequence(SIZE, 2, 2),
    "stride": SAMPLES,
    "unet_channels": SIZES,
}
OTHER_PARAMETERS = {"contour": {"n_blocks": sequence(LAYERS, 1, MAX_LAYERS)}}
FRONTEND_PARAMETERS = {
    "win_length": FOURIER_LENGTH,
    "hop_length": SAMPLES,
    "n_fft": FOURIER_LENGTH,
    "n_mels": MEL_BANDS,
    "f_min": PARAMETERS["f_min"],
    "f_max": PARAMETERS["f_max"],
    "log_offset": number(0, 1e12, above=True),
    "mean": number(-1e6, 1e6),
    "std": number(1e-6, 1e6),
}
# What sizes a layer.
WIDTHS = (
    "band_filters",
    "channels",
    "conv_channels",
    "dense_sizes",
    "encoder_channels",
    "hidden_size",
    "hidden_sizes",
    "n_filters",
    "unet_channels",
)


def _defaults(cls):
    """Return the arguments of an architecture, those of its bases that it passes on included, with their defaults."""
    found = {}
    for base in cls.__mro__:
        if base is AcousticModel or "__init__" not in vars(base):
            continue
        parameters = inspect.signature(base.__init__).parameters.values()
        found = {p.name: p.default for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD} | found
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    del found["self"]
    return found


def check_parameters(given, known, where):
    """Raise WeightsError unless each of the given values is known by name and as needed.

    Parameters
    ----------
    given : dict
    known : dict of str to (str, callable)
        Need in words, and check, by name.
    where : str
        Of the message: what they are the values of.
    """
    if not isinstance(given, dict):
        raise WeightsError(f"{where} must be an object of names and values, got {type(given).__name__}.")
    for name, value in given.items():
        if name not in known:
            raise WeightsError(f"{where} has {name!r}, which is unknown. Known: {', '.join(sorted(known))}.")
        need, check = known[name]
        if not check(value):
            raise WeightsError(f"{where} has {name}={_shown(value)}, needed: {need}.")


def _shown(value):
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _require(condition, what, needed):
    if not condition:
        raise WeightsError(f"The configuration has {what}, needed: {needed}.")


def check_configuration(architecture, cls, config):
    """Raise WeightsError unless a network with these arguments can work, and at a cost within bounds.

    Parameters
    ----------
    architecture : str
        Its name in files.
    cls : type
        The class of the network.
    config : dict
        Arguments of its constructor, as read from JSON.
    """
    defaults = _defaults(cls)
    known = {name: check for name, check in PARAMETERS.items() if name in defaults}
    check_parameters(config, known | OTHER_PARAMETERS.get(architecture, {}), "The configuration")
    missing = [name for name, default in defaults.items() if default is inspect.Parameter.empty and name not in config]
    _require(not missing, f"no {', '.join(missing)}", "a value for each")
    labels = config["source_labels"]
    _require(len(set(labels)) == len(labels), "a source label twice", "distinct names")
    values = defaults | config
    widths = [size for name in WIDTHS if name in values for size in _as_list(values[name])]
    _require(
        max(widths) * values["n_samples"] <= MAX_WAVEFORM_VALUES,
        f"layers of up to {max(widths)} channels on {values['n_samples']} samples",
        f"at most {MAX_WAVEFORM_VALUES} values",
    )
    if "frontend" in values:
        _check_spectrogram(cls, values, max(widths))
    elif "kernel_size" in values:
        _check_filters(values)


def _as_list(value):
    return value if isinstance(value, list | tuple) else [value]


def _check_spectrogram(cls, values, width):
    """Check the front end of a network on spectrograms, alone and with the window."""
    given = values["frontend"] or {}
    if given == "audioset":
        return  # its constructor has no more arguments
    frontend = getattr(cls, "FRONTEND", LogMel)
    defaults = {
        name: p.default for name, p in inspect.signature(frontend.__init__).parameters.items() if name != "self"
    }
    known = {name: check for name, check in FRONTEND_PARAMETERS.items() if name in defaults}
    check_parameters(given, known, "The configuration of the front end")
    rate, n_samples = values["sample_rate"], values["n_samples"]
    values = defaults | given
    n_fft, hop, n_mels = values["n_fft"], values["hop_length"], values["n_mels"]
    length = values.get("win_length", n_fft)
    n_frames = (n_samples - length) // hop + 1 if "win_length" in values else -(-n_samples // hop)
    low, high = values.get("f_min", 0), values.get("f_max", rate / 2)
    _require(length <= n_fft, f"win_length={length} and n_fft={n_fft}", "a window no longer than the transform")
    _require(low < high <= rate / 2, f"mel bands from {low} to {high} Hz", f"a range within 0 to {rate / 2:g} Hz")
    _require(
        1 <= n_frames <= MAX_FRAMES and n_frames * n_fft <= MAX_SPECTRUM_VALUES,
        f"{n_samples} samples in {n_frames} frames of {n_fft}",
        f"1 to {min(MAX_FRAMES, MAX_SPECTRUM_VALUES // n_fft)} frames",
    )
    _require(
        n_fft * n_mels <= MAX_FILTER_VALUES and n_frames * n_mels * width <= MAX_SPECTROGRAM_VALUES,
        f"{n_frames} frames of {n_mels} mel bands, n_fft={n_fft} and up to {width} channels",
        f"at most {MAX_SPECTROGRAM_VALUES} values in a layer and {MAX_FILTER_VALUES} in the filters",
    )


def _check_filters(values):
    """Check the band-pass filters of a network on the waveform."""
    low, high, rate = values["f_min"], values["f_max"], values["sample_rate"]
    size, n_samples = values["kernel_size"], values["n_samples"]
    _require(low < high <= rate / 2, f"filters from {low} to {high} Hz", f"a range within 0 to {rate / 2:g} Hz")
    _require(size <= n_samples, f"kernel_size={size} and n_samples={n_samples}", "filters no longer than the window")
    n_values = ((n_samples - size) // values["stride"] + 1) * values["n_filters"]
    _require(
        n_values <= MAX_SPECTRUM_VALUES and n_values * size <= MAX_FILTER_PRODUCTS,
        f"{values['n_filters']} filters of {size} samples every {values['stride']} samples",
        f"at most {MAX_SPECTRUM_VALUES} values and {MAX_FILTER_PRODUCTS} multiplications",
    )
