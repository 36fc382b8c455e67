"""The model cards beside weights files, written from what was measured: one file for all of a folder.

Each card is a section of it, whose heading is the name of the model.
"""

import json
import re
import textwrap
from dataclasses import asdict

from v2s_sklearn.files.writing import write_atomically
from v2s_sklearn.pretrain.contrastive import ContrastiveConfig
from v2s_sklearn.pretrain.few_shot import FewShotConfig

CARDS_FILE = "CARDS.md"
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
{data}

Trained on {n_train:,} one-second clips. {n_validation:,} validation clips were looked at during training and chose
nothing: the weights are those after the last epoch. The {n_test:,} raw test clips were run for this card, and some
of them for the packaged source logits (v2s_sklearn/alignment); they chose nothing.

## Front end
{frontend}

## Training
```
{command}
```
{targets}
{n_epochs} epochs, {hours:.1f} h ({machine}); last training loss {train_loss:.3f}, validation accuracy {validation:.2%}.

```json
{config}
```
{results}
## Use and limits
A frozen source for reprogramming. As a recogniser it knows short clips of these classes, recorded as in its training
data, and nothing else. The weights may be used under the licence of this
package; name the data as above.
"""


def describe_targets(config):
    """Return in words what the model was trained to give."""
    if isinstance(config, ContrastiveConfig):
        return "Without labels: the contrastive k-step objective; then a linear probe on the labels, all else fixed."
    if isinstance(config, FewShotConfig):
        return (
            "Episodes: small classification tasks made of contours, solved by a ridge on the embedding; the "
            "cross-entropy of the unlabelled cases is passed back through it. Then a linear probe on the words, all "
            "else fixed: its accuracy says how much of a word is in the contours of a few bands. The validation "
            "accuracy is that of episodes."
        )
    text = "Targets: the labels."
    if config.teachers:
        text = (
            f"Targets: {config.teacher_weight:.0%} the mean probabilities of {', '.join(config.teachers)}, trained "
            "before with the same command, the rest the label."
        )
    return text + (f" Started from the weights of {config.start_from}." if config.start_from else "")


EPISODES = """
## Validation episodes
Accuracy (%) on {n} tasks of {classes} classes with 1, 2, 3 or 5 labelled cases each, made of contours of validation
clips; the last column is of the ridge on the embedding and on fixed features of the series. They chose nothing.

"""


def describe_episodes(rows, config):
    """Return the table of accuracies on validation episodes.

    Parameters
    ----------
    rows : dict of str to dict
        Of each kind of weights what `few_shot.evaluate_episodes` returns.
    config : FewShotConfig
    """
    kinds = [kind for kind, count in config.episodes.items() if count]
    columns = {"all": "validation_accuracy", **{f"{kind}s": f"{kind}_accuracy" for kind in kinds}}
    columns["with fixed features"] = "joint_accuracy"
    classes = ", ".join(map(str, config.n_classes[:-1])) + " or " * (len(config.n_classes) > 1)
    text = EPISODES.format(
        n=config.n_validation * sum(config.episodes.values()), classes=f"{classes}{config.n_classes[-1]}"
    )
    rows = {row: [f"{100 * found[name]:.1f}" for name in columns.values()] for row, found in rows.items()}
    table = [["weights", *columns], ["---"] * (1 + len(columns))] + [[row, *values] for row, values in rows.items()]
    return text + "".join(f"| {' | '.join(line)} |\n" for line in table)


def write_card(
    path, *, model, architecture, config, history, data, data_sizes, test, command, sha256, machine, results=""
):
    """Write the model card of a weights file, in the place of an older one.

    Parameters
    ----------
    path : path
        Of the weights file.
    model : AcousticModel
    architecture : str
    config : TrainingConfig
    history : list of dict
        One entry an epoch, from `train`.
    data : str
        What the data set is, from where, under which licence.
    data_sizes : dict
        Clips for "train" and "validation".
    test : dict
        "accuracy", "loss", "n", "accuracy_words", "n_words" on raw test audio.
    command, sha256, machine : str
    results : str, default=""
        A section of its own on what else was measured.
    """
    card = CARD.format(
        name=path.stem,
        summary=" ".join(type(model).__doc__.split("\n\n")[0].split()),
        architecture=architecture,
        n_parameters=model.n_parameters(),
        kilobytes=path.stat().st_size / 1000,
        sample_rate=model.sample_rate,
        n_samples=model.n_samples,
        n_classes=model.n_classes,
        labels=", ".join(model.source_labels).replace("_", r"\_"),
        accuracy=test["accuracy"],
        accuracy_words=test["accuracy_words"],
        n_test=test["n"],
        n_words=test["n_words"],
        loss=test["loss"],
        sha256=sha256,
        n_train=data_sizes["train"],
        n_validation=data_sizes["validation"],
        data=textwrap.fill(data, 120),
        frontend=f"`{model.frontend}`",
        command=command,
        targets=textwrap.fill(describe_targets(config), 120),
        n_epochs=len(history),
        hours=sum(entry["seconds"] for entry in history) / 3600,
        machine=machine,
        train_loss=history[-1]["train_loss"],
        validation=history[-1]["validation_accuracy"],
        config=json.dumps(asdict(config), indent=2),
        results=results,
    )
    cards = read_cards(path.parent) | {path.stem: card}
    text = "\n".join(cards[name].rstrip("\n") + "\n" for name in sorted(cards))
    write_atomically(path.with_name(CARDS_FILE), text.encode())


def read_cards(folder):
    """Return the cards of a folder, a dict of name to text."""
    path = folder / CARDS_FILE
    if not path.exists():
        return {}
    _, *parts = re.split(r"(?m)^(?=# [\w-]+$)", path.read_text())
    return {part.partition("\n")[0].removeprefix("# "): part for part in parts}
