"""Audio classifiers of the Hugging Face hub as frozen acoustic models: ``"hf:owner/name@revision"`` or ``"hf:folder"``.

Shape legend: B batch, S waveform samples, F frames, M mel bands, D channels of a layer, K source classes, T tokens.
"""

import hashlib
import os
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from v2s_sklearn.acoustic.hub import HUGGING_FACE_FILES
from v2s_sklearn.acoustic.hub.huggingface_checks import (
    MAX_WINDOW,
    check_size,
    check_values,
    count_values,
    shard_names,
    source_labels,
)
from v2s_sklearn.acoustic.hub.huggingface_frontends import MODEL_TYPES, make_frontend
from v2s_sklearn.acoustic.interface import AcousticModel
from v2s_sklearn.acoustic.storage import check_sounds
from v2s_sklearn.errors import (
    AcousticModelNotFoundError,
    InvalidParameterError,
    MissingDependencyError,
    WeightsError,
)
from v2s_sklearn.files.checksums import sha256_of
from v2s_sklearn.files.tensors import check_finite

CONFIG_FILE = "config.json"
EXTRACTOR_FILES = ("preprocessor_config.json", "processor_config.json")  # the first, or the second
WEIGHTS_FILE, INDEX_FILE = "model.safetensors", "model.safetensors.index.json"
# Waveform samples computed at a time: about half a minute of sound, which bounds the memory that the layers take.
PART_SAMPLES = 2**19


class HuggingFaceModel(AcousticModel):
    """An audio classifier of transformers behind the interface of this package.

    Parameters
    ----------
    network : transformers.PreTrainedModel
        What ``AutoModelForAudioClassification`` gives; its ``model_type`` is a key of ``MODEL_TYPES``.
    frontend : torch.nn.Module
        From `make_frontend`.
    n_samples : int, optional
        Length S of the window in samples; ``frontend.n_samples`` by default.

    Raises
    ------
    InvalidParameterError
        If the model cannot take windows of this length.
    """

    def __init__(self, network, frontend, n_samples=None):
        n_samples = frontend.n_samples if n_samples is None else n_samples
        if not frontend.shortest <= n_samples <= frontend.longest:
            raise InvalidParameterError(
                f"n_samples={n_samples} cannot be used with this {network.config.model_type} model: its windows have "
                f"{frontend.shortest} to {frontend.longest} samples. Leave n_samples out for {frontend.n_samples}."
            )
        labels = source_labels(network.config.model_type, network.config)
        super().__init__(labels, frontend, frontend.sample_rate, n_samples)
        self.network = network

    @property
    def embedded_layers(self):
        """Layers of `embed` by default: the middle and the last one, and the pooled one if there is one."""
        n_layers = self.network.config.num_hidden_layers
        pooled = ["pooled"] if self._is_ast else []
        return list(dict.fromkeys([f"layer{-(-n_layers // 2)}", f"layer{n_layers}", *pooled]))

    @property
    def _is_ast(self):
        return self.network.config.model_type == "audio-spectrogram-transformer"

    def activations(self, features):
        """Return the activations of each layer: features to a dict, see `AcousticModel.activations`.

        Keys ``embeddings``, what the first transformer layer takes, ``layer1``, ``layer2``, ..., what each gives, all
        (B, D, F'), and ``logits`` (B, K). AST has tokens on a grid of time and frequency, of which the mean over the
        frequencies is taken, and ``pooled`` (B, D), what its classification head takes.
        """
        if self._is_ast:
            output = self.network.base_model(features, output_hidden_states=True, return_dict=True)
            over_time = [self._mean_over_frequency(state) for state in output.hidden_states]
            last = {"pooled": output.pooler_output, "logits": self.network.classifier(output.pooler_output)}
        else:
            if features.ndim == 3:
                features = features.transpose(1, 2)  # Whisper's (B, M, F)
            output = self.network(features, output_hidden_states=True, return_dict=True)
            over_time = [state.transpose(1, 2) for state in output.hidden_states]
            last = {"logits": output.logits}
        names = ["embeddings", *(f"layer{index}" for index in range(1, len(over_time)))]
        return dict(zip(names, over_time, strict=True)) | last

    @property
    def time_axis(self):
        """The axis of a 2-D convolution's output that is time: AST's patches lie in rows of one frequency."""
        return 3 if self._is_ast else 2

    def _grid(self, tokens):
        """Return the patches of AST by frequency and time: (B, 2 + T, ...) to (B, bands, F', ...)."""
        return tokens[:, 2:].unflatten(1, self.network.base_model.embeddings.get_shape(self.network.config))

    def _mean_over_frequency(self, state):
        """Return the patches of AST over time: tokens (B, 2 + T, D), frequency by frequency, to (B, D, F')."""
        return self._grid(state).mean(1).transpose(1, 2)

    def attention(self, waveform):
        """Return how much the last layer attends to each frame: (B, S) to (B, F'), of sum 1.

        The mean over its heads and over the tokens that attend; of AST over those that its head reads, of whose
        attention the part on the patches is taken. A sum over overlapping frequency bands of patches.

        Raises
        ------
        InvalidParameterError
            If this kind of model does not give its attention weights.
        """
        weights = self._in_parts(self._received, waveform)
        return weights / weights.sum(1, keepdim=True)

    def _received(self, waveform):
        features = self.frontend(waveform)
        network = self.network.base_model if self._is_ast else self.network
        if not self._is_ast and features.ndim == 3:
            features = features.transpose(1, 2)  # Whisper's (B, M, F)
        chosen = self.network.config._attn_implementation
        try:
            with _undisturbed():
                self.network.set_attn_implementation("eager")  # others do not give the weights
            attentions = network(features, output_attentions=True, return_dict=True).attentions
        finally:
            with _undisturbed():
                self.network.set_attn_implementation(chosen)
        if not attentions or attentions[-1] is None:
            raise InvalidParameterError(
                f"A {self.network.config.model_type} model of transformers does not give its attention weights. Take "
                "another one, or 'v2sa'."
            )
        last = attentions[-1].mean(1)  # (B, tokens, tokens)
        return self._grid(last[:, :2].mean(1)).sum(1) if self._is_ast else last.mean(1)

    def _network(self):
        # transformers hangs hooks on its modules, which a twin would share and call twice.
        return self

    def forward(self, waveform):
        """Return the source logits: waveforms (B, S) in [-1, 1] to (B, K)."""
        return self._in_parts(super().forward, waveform)

    def embed(self, waveform, layers=None):
        """Return one vector a waveform, see `AcousticModel.embed`; ``embedded_layers`` by default."""
        embed, layers = super().embed, self.embedded_layers if layers is None else layers
        return self._in_parts(lambda part: embed(part, layers), waveform)

    def _in_parts(self, function, waveform):
        size = max(1, PART_SAMPLES // waveform.shape[1])
        return torch.cat([function(part) for part in waveform.split(size)])

    def __reduce_ex__(self, protocol):
        """Pickle and copy a model that has no name as its configuration and weights."""
        if self.source is not None:
            return super().__reduce_ex__(protocol)
        arrays = {name: tensor.cpu().numpy() for name, tensor in self.network.state_dict().items()}
        trainable = any(parameter.requires_grad for parameter in self.parameters())
        return _rebuild, (self.network.config, self.frontend, self.n_samples, arrays, trainable)


def _rebuild(config, frontend, n_samples, arrays, trainable):
    transformers = _import_transformers()
    # Random weights are drawn before those of the pickle take their place.
    with _undisturbed():
        network = transformers.AutoModelForAudioClassification.from_config(config)
    network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
    return HuggingFaceModel(network, frontend, n_samples).freeze().requires_grad_(trainable)


def load_huggingface(reference, n_samples=None):
    """Load an audio classifier of the Hugging Face hub, or of a local folder, as a frozen acoustic model.

    Any checkpoint of ``AutoModelForAudioClassification`` but wav2vec2-bert: AST, wav2vec 2.0 and its relatives
    (conformer, HuBERT, WavLM, UniSpeech, data2vec, SEW), Whisper's encoder. Only safetensors are read, and no code of
    a checkpoint is run. A checkpoint in the local cache of the hub is used as it is, without a look at the network.

    Parameters
    ----------
    reference : str
        A folder with ``config.json``, ``preprocessor_config.json`` and safetensors; or a hub id ``"owner/name"``,
        optionally with a branch, tag or commit, ``"owner/name@revision"``.
    n_samples : int, optional
        Window in samples. By default one second for wav2vec 2.0 and its relatives, what ``config.max_length`` frames
        cover for AST, and what ``config.max_source_positions`` cover (30 s) for Whisper. The latter two take shorter
        windows, too, and fill up with silence.

    Returns
    -------
    model : HuggingFaceModel
    sha256 : str
        Of the files that make up the model: the sha256 of their hex digests, concatenated in the order of
        ``HUGGING_FACE_FILES``.

    Raises
    ------
    MissingDependencyError
        If transformers is not installed.
    AcousticModelNotFoundError
        If there is no such folder, or no such repository or revision in reach.
    WeightsError
        If a file is missing, damaged or not supported, if the configuration asks for more than the files hold, or if
        the weights are not those of a whole classifier or not finite.
    InvalidParameterError
        If the model cannot take windows of ``n_samples``.

    Notes
    -----
    The name ``"hf:reference"`` stands for a model with the default window, and estimators fitted with it are pickled
    with that name and the checksum. A model from this function with another window is pickled with all its weights; to
    pickle a name instead, give it one: ``register_acoustic_model("ast-1s", lambda: load_huggingface(...)[0])``.

    Examples
    --------
    A checkpoint in a folder, of a small transformer with random weights. A released one is named ``"owner/name"``.

    >>> import tempfile
    >>> from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification
    >>> from transformers.utils import logging
    >>> from v2s_sklearn.acoustic.hub.huggingface import load_huggingface
    >>> logging.disable_progress_bar()
    >>> sizes = {"hidden_size": 16, "intermediate_size": 32, "patch_size": 8}
    >>> layers = {"num_hidden_layers": 2, "num_attention_heads": 2}
    >>> bands = {"num_mel_bins": 16, "max_length": 24}
    >>> config = ASTConfig(**sizes, **layers, **bands, id2label={0: "no", 1: "yes"})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ASTForAudioClassification(config).save_pretrained(folder)
    ...     _ = ASTFeatureExtractor(**bands).save_pretrained(folder)
    ...     model, sha256 = load_huggingface(folder)
    >>> model.source_labels, model.sample_rate, len(sha256)
    (('no', 'yes'), 16000, 64)
    """
    transformers = _import_transformers()
    folder = _find_folder(reference)
    described, weights = _check_files(folder, reference)
    n_tensors, n_values = count_values(weights)
    for path in described:
        check_values(path, n_tensors)
    try:
        with _undisturbed():
            config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
            if config.model_type not in MODEL_TYPES:
                raise WeightsError(
                    f"{reference!r} is a {config.model_type} model. Supported are the audio classifiers "
                    f"{', '.join(MODEL_TYPES)}."
                )
            source_labels(reference, config)
            check_size(transformers, reference, config, n_values)
            extractor = transformers.AutoFeatureExtractor.from_pretrained(folder, trust_remote_code=False)
            frontend = make_frontend(extractor, config)
            if frontend.n_samples > MAX_WINDOW:
                raise WeightsError(
                    f"The checkpoint {reference!r} has windows of {frontend.n_samples} samples, needed: at most "
                    f"{MAX_WINDOW}."
                )
            network = _load_network(transformers, folder, config, reference)
        check_finite(f"The checkpoint {reference!r}", network.state_dict())
        model = HuggingFaceModel(network, frontend, n_samples).freeze()
        check_sounds(model)
    except (InvalidParameterError, WeightsError):
        raise
    except Exception as error:  # transformers lets through whatever its readers meet
        raise WeightsError(
            f"The checkpoint {reference!r} could not be loaded ({type(error).__name__}: {error}). Needed: an audio "
            "classifier that transformers' AutoModelForAudioClassification loads from safetensors, without code of "
            "its own. If a file is damaged, download the checkpoint again."
        ) from error
    digests = "".join(sha256_of(path) for path in (*described, *weights))
    return model, hashlib.sha256(digests.encode()).hexdigest()


def _import_transformers():
    try:
        import transformers
    except ImportError as error:
        raise MissingDependencyError(
            "Acoustic models 'hf:...' need transformers, which is not installed: pip install 'v2s-sklearn[hub]'."
        ) from error
    return transformers


@contextmanager
def _undisturbed():
    """Keep transformers from printing, and from drawing from the global generator of torch."""
    from huggingface_hub import utils as hub
    from transformers.utils import logging

    verbosity, bars, no_hub_bars = logging.get_verbosity(), logging.is_progress_bar_enabled(), None
    if bars:
        no_hub_bars = hub.are_progress_bars_disabled()
        logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()  # switches those of huggingface_hub, too
        if no_hub_bars:
            hub.disable_progress_bars()


def _find_folder(reference):
    """Return the folder of a reference; a checkpoint that is not in the local cache of the hub is downloaded."""
    folder = os.path.expanduser(reference)
    if os.path.isdir(folder):  # Path's own methods raise where a name is too long
        return Path(folder)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    name, _, revision = reference.partition("@")
    wanted = {"repo_id": name, "revision": revision or None, "allow_patterns": list(HUGGING_FACE_FILES)}
    try:
        cached = Path(snapshot_download(**wanted, local_files_only=True))
        _check_files(cached, reference)
        return cached
    except HFValidationError as error:
        raise AcousticModelNotFoundError(
            f"{reference!r} is neither a folder nor the id of a model on the Hugging Face hub. Give 'hf:' and the path "
            "of a folder, or 'hf:owner/name', or 'hf:owner/name@revision'."
        ) from error
    except (LocalEntryNotFoundError, OSError, WeightsError):
        pass  # not in the cache, or in part
    try:
        return Path(snapshot_download(**wanted))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        pinned = f" --revision {revision}" if revision else ""
        raise AcousticModelNotFoundError(
            f"{reference!r} is no folder, and the hub gave no such model ({type(error).__name__}: {error}). Check the "
            f"name and the revision. Without a network, run `hf download {name}{pinned}` where there is one, copy the "
            "cache, and set HF_HUB_OFFLINE=1; or pass the path of a local folder."
        ) from error


def _check_files(folder, reference):
    """Return the files of a folder that describe the model, and its weights; raise WeightsError if it lacks one."""

    def require(name, advice):
        """Raise WeightsError with advice unless the folder has a file of this name."""
        if not (folder / name).is_file():
            raise WeightsError(f"The checkpoint {reference!r} has no {name}. {advice}")

    complete = "Download the checkpoint again, or save both model and feature extractor with save_pretrained."
    require(CONFIG_FILE, complete)
    if not (folder / EXTRACTOR_FILES[1]).is_file():
        require(EXTRACTOR_FILES[0], complete)
    described = [folder / name for name in (CONFIG_FILE, *EXTRACTOR_FILES) if (folder / name).is_file()]
    if (folder / WEIGHTS_FILE).is_file():
        return described, [folder / WEIGHTS_FILE]
    require(
        INDEX_FILE if (folder / INDEX_FILE).exists() else WEIGHTS_FILE,
        "Weights are read from safetensors only, never from a pickle such as pytorch_model.bin. Convert the checkpoint "
        "with model.save_pretrained(folder, safe_serialization=True), or give a revision that has safetensors.",
    )
    names = shard_names(folder / INDEX_FILE)
    for name in names:
        require(name, complete)
    return described, [folder / name for name in names]


def _load_network(transformers, folder, config, reference):
    """Return the network in single precision; raise WeightsError unless all its weights are in the checkpoint."""
    config.transformers_weights = None  # could name another file than the one whose checksum is taken
    network, report = transformers.AutoModelForAudioClassification.from_pretrained(
        folder,
        config=config,
        trust_remote_code=False,
        use_safetensors=True,
        dtype=torch.float32,
        attn_implementation=None,  # torch's own where the model has it, whatever config.json says
        local_files_only=True,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
    )
    # The mask of training has no part in the frozen model, and some checkpoints leave it out.
    missing = sorted(key for key in report["missing_keys"] if not key.endswith("masked_spec_embed"))
    mismatched = sorted(key for key, *_ in report["mismatched_keys"])
    for problem, keys in (("has no weights for", missing), ("has weights of another shape for", mismatched)):
        if keys:
            shown = ", ".join(keys[:4]) + (f" and {len(keys) - 4} more" if len(keys) > 4 else "")
            raise WeightsError(
                f"The checkpoint {reference!r} {problem} {shown}, which would be random. Needed: a model that was "
                "trained as an audio classifier, with its classification head; not a base model."
            )
    return network
