"""Image networks of torchvision as sources: the log-mel spectrogram of a waveform is their picture.

Shape legend: B batch, S waveform samples, F frames, M mel bands, H, W height and width of the image in pixels,
D channels of a layer, F' its columns, K source classes.
"""

import difflib
import importlib
import math
import pickle
import re
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from v2s_sklearn.acoustic.frontend import LogMel
from v2s_sklearn.acoustic.interface import AcousticModel
from v2s_sklearn.acoustic.pooling import bands_as_channels
from v2s_sklearn.errors import AcousticModelNotFoundError, InvalidParameterError, MissingDependencyError, WeightsError
from v2s_sklearn.files.checksums import sha256_of

# Mean and deviation of the images that torchvision's networks were trained on: red, green, blue.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Family:
    """Where the layers of one class of torchvision's networks lie.

    Attributes
    ----------
    prefixes : tuple of str
        How the names of its members start.
    stages : tuple of str or None
        Graph nodes that end the main stages; None: the layers before each max-pool of ``features``, and its last.
    pool : str or None
        Graph node of the vector before the logits.
    image_size : int
        Height and width of the input in pixels.
    options : dict
        With which a network is built for torchvision's weights.
    """

    prefixes: tuple
    stages: tuple | None
    pool: str | None
    image_size: int = 224
    options: dict = field(default_factory=dict)


# The auxiliary classifiers serve training only; the weights expect colours scaled to [-1, 1], which the network does.
INCEPTION = {"aux_logits": False, "transform_input": True, "init_weights": False}

# The families by the name of the class in torchvision.models.
FAMILIES = {
    "AlexNet": Family(("alexnet",), None, "classifier.5"),
    "VGG": Family(("vgg",), None, "classifier.4"),
    "GoogLeNet": Family(
        ("googlenet",),
        ("conv1", "conv3", "inception3b", "inception4e", "inception5b"),
        "flatten",
        options=INCEPTION,
    ),
    "Inception3": Family(
        ("inception_v3",),
        ("Conv2d_2b_3x3", "Conv2d_4a_3x3", "Mixed_5d", "Mixed_6e", "Mixed_7c"),
        "flatten",
        image_size=299,
        options=INCEPTION,
    ),
    "ResNet": Family(("resnet", "resnext", "wide_resnet"), ("relu", "layer1", "layer2", "layer3", "layer4"), "flatten"),
    "DenseNet": Family(
        ("densenet",), (*(f"features.transition{number}.conv" for number in (1, 2, 3)), "relu"), "flatten"
    ),
    "SqueezeNet": Family(("squeezenet",), None, None),
    "MobileNetV2": Family(("mobilenet_v2",), tuple(f"features.{n}" for n in (1, 3, 6, 13, 17)), "flatten"),
}


def _require(module):
    try:
        return importlib.import_module(module)
    except (ImportError, RuntimeError) as error:  # RuntimeError: torchvision is not of the installed torch
        raise MissingDependencyError(
            f"Image networks need torchvision, which cannot be imported ({error}): pip install 'v2s-sklearn[vision]', "
            "or the torchvision that belongs to the installed torch."
        ) from error


class SpectrogramImage(LogMel):
    """Log-mel spectrogram as an image: time from left to right, frequency upwards, three equal channels.

    Brightness is a fixed linear map of the log-mel values, the same for all clips: 0 is digital silence, 1 a tone of
    full scale at the centre of a band. The image is resized with bilinear interpolation, then normalised.

    Parameters
    ----------
    image_size : int, default=224
        Height H and width W in pixels.
    image_mean, image_std : sequence of 3 float
        Of the channels, by which they are normalised.
    **kwargs
        See :class:`~v2s_sklearn.acoustic.frontend.LogMel`.
    """

    def __init__(self, image_size=224, image_mean=IMAGENET_MEAN, image_std=IMAGENET_STD, **kwargs):
        super().__init__(**kwargs)
        self.image_size = image_size
        self.silence = (math.log(self.log_offset) - self.mean) / self.std
        tone = float(self.window.sum()) / 2  # magnitude of the Fourier transform of a tone with amplitude 1
        self.full_scale = (math.log(tone**2 + self.log_offset) - self.mean) / self.std
        for name, values in (("image_mean", image_mean), ("image_std", image_std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).reshape(3, 1, 1), persistent=False)

    def extra_repr(self):
        """Return the settings in words, for ``repr``."""
        return f"{super().extra_repr()}; {self.image_size} x {self.image_size} pixels"

    def forward(self, waveform):
        """Return the images of waveforms in [-1, 1]: (B, S) to (B, 3, H, W)."""
        brightness = (super().forward(waveform) - self.silence) / (self.full_scale - self.silence)  # (B, F, M)
        image = brightness.transpose(1, 2).flip(1).unsqueeze(1)  # (B, 1, M, F)
        image = nn.functional.interpolate(image, size=(self.image_size, self.image_size), mode="bilinear")
        return (image - self.image_mean) / self.image_std


class VisionModel(AcousticModel):
    """An image network of torchvision on the log-mel spectrogram, one of the sources of ICML 2021's comparison.

    AlexNet, VGG, GoogLeNet, Inception v3, ResNet (ResNeXt and wide ones too), DenseNet, SqueezeNet and MobileNet v2.

    Parameters
    ----------
    network : torch.nn.Module or str
        A network of these families from ``torchvision.models``, with your weights; it is set to eval mode. Or a name,
        for torchvision's weights: what follows "torchvision:" in the name of an acoustic model, see `load_torchvision`.
    source_labels : sequence of str, optional
        Names of the source classes, in the order of the outputs. Needed with a network; with a name, by default those
        of the weights (ImageNet's).
    sample_rate, n_samples : int, default=16000
        In Hz, and in samples.
    frontend : dict, optional
        Parameters of `SpectrogramImage`. By default the image has the size and the normalisation that torchvision's
        weights state, ImageNet's.

    Raises
    ------
    InvalidParameterError
        If the network is of another kind, or the number of labels is not that of its outputs.
    MissingDependencyError
        If torchvision is not installed.
    AcousticModelNotFoundError, WeightsError
        See `load_torchvision`.

    Examples
    --------
    A network of your own, for six classes. Here its weights are random. Needs torchvision.

    >>> import torch
    >>> from torchvision.models import resnet18  # doctest: +SKIP
    >>> from v2s_sklearn.acoustic.vision import VisionModel
    >>> labels = ["cat", "dog", "ship", "tree", "car", "plane"]
    >>> model = VisionModel(resnet18(num_classes=6), labels, frontend={"image_size": 64})  # doctest: +SKIP
    >>> list(model.activations(torch.zeros(1, 3, 64, 64)))  # doctest: +SKIP
    ['stage1', 'stage2', 'stage3', 'stage4', 'stage5', 'pool', 'logits']
    """

    time_axis = 3  # the image's columns

    def __init__(self, network, source_labels=None, sample_rate=16000, n_samples=16000, frontend=None):
        options = {}
        if isinstance(network, str):
            network, categories, options, _ = _read_pretrained(network)
            source_labels = categories if source_labels is None else source_labels
        family = _family_of(network)
        if source_labels is None:
            raise InvalidParameterError(
                "source_labels are needed with a network of your own: the names of its classes, in the order of its "
                "outputs."
            )
        options = {"image_size": family.image_size, **options, **(frontend or {})}
        super().__init__(source_labels, SpectrogramImage(sample_rate=sample_rate, **options), sample_rate, n_samples)
        self.network = network
        self.eval()
        self._trace()
        self._check_outputs()

    def _trace(self):
        """Build the module that returns the activations; it shares its layers with the network."""
        tools = _require("torchvision.models.feature_extraction")
        family = _family_of(self.network)
        stages = family.stages or _stages_before_pools(self.network)
        nodes = {node: f"stage{number}" for number, node in enumerate(stages, start=1)}
        if family.pool is not None:
            nodes[family.pool] = "pool"
        training = self.network.training
        nodes[tools.get_graph_node_names(self.network.eval())[1][-1]] = "logits"
        try:
            extractor = tools.create_feature_extractor(self.network, nodes)
        except ValueError as error:
            raise InvalidParameterError(
                f"The {type(self.network).__name__} lacks a layer of torchvision's ({error}). Replace no more than the "
                "last layer of its classifier."
            ) from error
        self.network.train(training)
        # A tuple, so that torch does not register it as a submodule: its weights are the network's.
        self._extractor = (extractor.train(training),)

    def _check_outputs(self):
        size, weight = self.frontend.image_size, next(self.network.parameters())
        with torch.no_grad():
            n_outputs = self.activations(weight.new_zeros(1, 3, size, size))["logits"].shape[1]
        if n_outputs != self.n_classes:
            raise InvalidParameterError(
                f"The {type(self.network).__name__} has {n_outputs} outputs, got {self.n_classes} source_labels. Give "
                "one name for each output, in their order."
            )

    def train(self, mode=True):
        """Switch to training or eval mode; return self."""
        super().train(mode)
        for extractor in getattr(self, "_extractor", ()):
            extractor.train(mode)
        return self

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name != "_extractor"}

    def __setstate__(self, state):
        super().__setstate__(state)
        self._trace()

    def activations(self, features):
        """Return the activations of each layer: images (B, 3, H, W) to a dict, see `AcousticModel.activations`.

        Keys ``stage1`` ... (B, D, F'), feature maps, the frequency axis averaged to a few bands, ``pool`` (B, D), the
        vector before the logits (SqueezeNet has none), and ``logits`` (B, K).
        """
        outputs = self._extractor[0](features)
        return {
            name: bands_as_channels(output.transpose(2, 3)) if output.ndim == 4 else output
            for name, output in outputs.items()
        }


def _family_of(network):
    models = _require("torchvision.models")
    for name, family in FAMILIES.items():
        if isinstance(network, getattr(models, name)):
            return family
    raise InvalidParameterError(
        f"network must be a name or one of torchvision's {', '.join(FAMILIES)}, got {type(network).__name__}."
    )


def _stages_before_pools(network):
    """Return the graph nodes of the layers before each max-pool of ``network.features``, and of its last layer."""
    last = len(network.features) - 1
    is_pool = [isinstance(layer, nn.MaxPool2d) for layer in network.features]
    ends = [index - 1 for index, pool in enumerate(is_pool) if pool]
    return [f"features.{index}" for index in (ends if is_pool[last] else [*ends, last])]


def load_torchvision(reference):
    """Load an image network with torchvision's weights; the registry calls this for "torchvision:REFERENCE".

    Parameters
    ----------
    reference : str
        Name of the network, for torchvision's default weights: ``resnet18``; or with the name of other weights:
        ``resnet50/IMAGENET1K_V1``.

    Returns
    -------
    model : VisionModel
    sha256 : str
        Of the weights file, 64 hex digits.

    Raises
    ------
    MissingDependencyError
        If torchvision is not installed.
    AcousticModelNotFoundError
        If there is no such network or weights.
    WeightsError
        If the file cannot be downloaded, or is damaged.
    """
    network, categories, options, digest = _read_pretrained(reference)
    return VisionModel(network, categories, frontend=options), digest


def _read_pretrained(reference):
    """Return a network with torchvision's weights, its classes, the parameters of its image, the file's sha256."""
    name, weights = _find_weights(reference)
    categories = weights.meta.get("categories")
    if not categories:
        raise AcousticModelNotFoundError(
            f"The weights {weights} have no classes. Take other weights of {name}, such as IMAGENET1K_V1."
        )
    path, digest = _weights_file(weights.url)
    transforms = weights.transforms()
    options = {"image_size": transforms.crop_size[0], "image_mean": transforms.mean, "image_std": transforms.std}
    return _read_network(name, len(categories), path), tuple(categories), options, digest


def _find_weights(reference):
    """Return the name of the network and the entry of its weights."""
    name, _, entry = reference.partition("/")
    prefixes = tuple(prefix for family in FAMILIES.values() for prefix in family.prefixes)
    if not name.startswith(prefixes):  # wrong whether torchvision is there or not
        raise AcousticModelNotFoundError(
            f"There is no image network {name!r}. Give 'torchvision:' and a name that begins with "
            f"{', '.join(prefixes)}."
        )
    models = _require("torchvision.models")
    names = [known for known in models.list_models(module=models) if known.startswith(prefixes)]
    _check_known("image network", name, names)
    choices = models.get_model_weights(name)
    if not entry:
        return name, choices.DEFAULT
    _check_known(f"set of weights of {name}", entry, list(choices.__members__))
    return name, choices[entry]


def _check_known(kind, name, names):
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise AcousticModelNotFoundError(f"There is no {kind} {name!r}.{hint} Names: {', '.join(names)}.")


def _weights_file(url):
    """Return the path and the sha256 of a file in torch's hub folder, downloaded if it is not there."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    # torchvision's file names end in the first digits of their sha256.
    match = re.search(r"-([0-9a-f]{8,})\.", path.name)
    digits = match[1] if match else ""
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), digits, progress=False)
        except (OSError, RuntimeError) as error:  # no network, or another checksum
            raise WeightsError(
                f"The weights are not at {path} and could not be downloaded ({error}). Download {url} on a machine "
                f"with a network and put it there, or set TORCH_HOME to a folder that has it as "
                f"hub/checkpoints/{path.name}."
            ) from error
    digest = sha256_of(path)
    if not digest.startswith(digits):
        raise WeightsError(
            f"{path} has sha256 {digest}, expected {digits}...: it is damaged or not torchvision's. Remove it, and "
            f"load again or download {url}."
        )
    return path, digest


def _read_network(name, n_classes, path):
    """Return a network of torchvision with the weights in a file."""
    models = _require("torchvision.models")
    family = next(family for family in FAMILIES.values() if name.startswith(family.prefixes))
    with torch.device("meta"):  # no random weights: they cost time and the global random state
        network = models.get_model(name, weights=None, num_classes=n_classes, **family.options)
    try:
        # The file is a pickle, of which nothing but tensors is read; torchvision's own loader reads whatever it holds.
        tensors = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(_current_names(tensors), assign=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{path} does not hold the weights of {name} as torchvision publishes them ({error}). Remove it and load "
            "again."
        ) from error
    return network


def _current_names(tensors):
    """Return the tensors without auxiliary classifiers, and with the dots in old names of DenseNet's removed."""
    return {
        re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", name): tensor
        for name, tensor in tensors.items()
        if not name.startswith(("aux", "AuxLogits"))
    }
