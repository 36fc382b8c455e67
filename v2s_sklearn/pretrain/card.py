"""The model card beside a weights file, written from what was measured."""

import json
from dataclasses import asdict

from v2s_sklearn.acoustic.storage import write_atomically

CARD = """\
# {name}

{summary}

| | |
|---|---|
| architecture | `{architecture}`, {n_parameters:,} weights, {kilobytes:,.0f} kB |
| input | 1 s of audio, {sample_rate} Hz mono ({n_samples} samples), in [-1, 1] |
| source classes | {n_classes}: {labels} |
| accuracy on raw test audio | **{accuracy:.2%}** of {n_test} clips; without silence {accuracy_words:.2%} of {n_words} |
| cross-entropy on raw test audio | {loss:.4f} nats |
| sha256 | `{sha256}` |

## Data
Google Speech Commands v0.02 (P. Warden 2018, arXiv 1804.03209), licence CC BY 4.0: 35 words and background noise as
`_silence_`, the official hash split. Trained on {n_train:,} clips: log-mel images made from the audio by a third party,
and the raw clips of the training split that were at hand. {n_validation:,} validation clips were looked at during
training and chose nothing: the weights are those after the last epoch. The {n_test:,} raw test clips were run for this
card and for nothing else.

## Front end
Log-mel, differentiable: {frontend}. The images are brought to its scale by `image = 9.70 log(E + 300) - 55.0`,
set by hand after fits on training and validation clips that exist in both forms (least squares: 9.77, -56.4).

## Training
```
{command}
```
{teacher}
{n_epochs} epochs, {hours:.1f} h ({machine}); last training loss {train_loss:.3f}, validation accuracy {validation:.2%}.

```json
{config}
```

## Use and limits
A frozen source for reprogramming. As a speech recogniser it knows one-word clips of these words in quiet surroundings,
of the kinds of speakers in Speech Commands, and nothing else. The weights may be used under the licence of this
package; name the data as above.
"""


def write_card(path, *, model, architecture, config, history, data_sizes, test, command, sha256, machine):
    """Write the model card.

    Parameters
    ----------
    path : path
        Ends in ``.md``.
    model : AcousticModel
    architecture : str
    config : TrainingConfig
    history : list of dict
        One entry an epoch, from `train`.
    data_sizes : dict
        Clips for "train" and "validation".
    test : dict
        "accuracy", "loss", "n", "accuracy_words", "n_words" on raw test audio.
    command, sha256, machine : str
    """
    frontend = model.frontend
    weights = path.with_suffix(".safetensors")
    card = CARD.format(
        name=path.stem,
        summary=" ".join(type(model).__doc__.split("\n\n")[0].split()),
        architecture=architecture,
        n_parameters=model.n_parameters(),
        kilobytes=weights.stat().st_size / 1000,
        sample_rate=model.sample_rate,
        n_samples=model.n_samples,
        n_classes=model.n_classes,
        labels=", ".join(model.source_labels),
        accuracy=test["accuracy"],
        accuracy_words=test["accuracy_words"],
        n_test=test["n"],
        n_words=test["n_words"],
        loss=test["loss"],
        sha256=sha256,
        n_train=data_sizes["train"],
        n_validation=data_sizes["validation"],
        frontend=(
            f"Hann window of {frontend.win_length} samples, step {frontend.hop_length}, {frontend.n_fft}-point Fourier "
            f"transform, {frontend.filters.shape[1]} mel bands, log(E + {frontend.log_offset:g}) of the energies of "
            "16-bit samples, no padding"
        ),
        command=command,
        teacher=(
            f"Targets: {config.teacher_weight:.0%} the probabilities of `{config.teacher}`, trained before with the "
            "same command, the rest the label."
            if config.teacher
            else "Targets: the labels."
        ),
        n_epochs=len(history),
        hours=sum(entry["seconds"] for entry in history) / 3600,
        machine=machine,
        train_loss=history[-1]["train_loss"],
        validation=history[-1]["validation_accuracy"],
        config=json.dumps(asdict(config), indent=2),
    )
    write_atomically(path, card.encode())
