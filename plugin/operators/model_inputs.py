"""The inputs of a form that choose a network, and where and how it computes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hs2s_core.errors import HS2SError

from .form import Form

if TYPE_CHECKING:
    from hs2s_core.models.config import ModelConfig

_FROM_FILE = "file"
MODEL_VALUES = ("model", "weights", "device")
"""The texts that these inputs give."""


def chosen_model(form: Form) -> str | None:
    """The network asked for: a name, a path ("" while none was typed) or None for the default."""
    if _from_file(form):
        return str(form.get("weights", ""))
    chosen: str | None = form.get("model")
    return chosen


def _from_file(form: Form) -> bool:
    # The App names a model before it shows the input for a file; a script may give the file alone.
    return bool(form.get("model", _FROM_FILE if form.get("weights") else None) == _FROM_FILE)


def model_params(model: Any) -> dict[str, str]:
    """The form values that ask for ``model``."""
    from hs2s_core.own_weights import own_weights
    from hs2s_core.weights import PUBLISHED

    if not isinstance(model, (str, Path)):
        raise HS2SError(
            f"a loaded {type(model).__name__} cannot be handed to another process; "
            "give the weights file or the name of a model"
        )
    if str(model) in {*PUBLISHED, *own_weights()}:
        return {"model": str(model)}
    return {"model": _FROM_FILE, "weights": str(Path(model).absolute())}


def add_model(form: Form, label: str = "Model") -> ModelConfig | None:
    """Which network: one that ships, one that was trained here, or a file.

    Returns what it is made of; None where there is none, as its input says then.
    """
    from hs2s_core.weights import find_weights, offered_weights, read_header

    names = offered_weights()
    labels = {name: _describe_model(name) for name in names} | {_FROM_FILE: "A weights file ..."}
    from_file, given = _from_file(form), form.get("model", names[0])
    if given not in labels:  # also a file can be meant; what is none is told below
        labels[given] = given
    form.choice("model", labels, label, default=names[0])
    if from_file:
        form.text(
            "weights",
            "Weights file",
            required=True,
            description="Path of a .safetensors file on the machine that runs FiftyOne",
        )
    model = chosen_model(form)
    if model == "":  # nothing typed yet is not an error
        return None
    try:
        return read_header(find_weights(model)).config
    except HS2SError as error:
        form.mark({"weights" if from_file else "model": str(error)})
        return None


def _describe_model(name: str) -> str:
    """Its size, and the score that its card gives."""
    from hs2s_core.weights import find_weights, read_header

    path = find_weights(name)
    size = f"{name}: {path.stat().st_size / 2**20:.1f} MiB"
    try:
        card = read_header(path).card
    except HS2SError:  # said where it is chosen
        return size
    tuned, score = card.get("tuning"), card.get("scores", {}).get("real videos", {}).get(name)
    if tuned is not None:
        before, after = tuned["jf"]["before"], tuned["jf"]["after"]
        return f"{size}, trained here: J&F {before:.0f} before, {after:.0f} after"
    if score is None:
        return size
    return f"{size}, J&F {(score['j'] + score['f']) / 2:.0f} on ten real videos"


def add_device(form: Form, config: ModelConfig | None) -> None:
    """Where it computes; ``config`` is that of :func:`add_model`."""
    from hs2s_core.devices import offered_devices, pick_device
    from hs2s_core.models.config import LiteConfig

    form.choice("device", offered_devices(), "Device", default="auto")
    try:
        kind = pick_device(form.get("device", "auto")).type
    except HS2SError as error:
        form.mark({"device": str(error)})
        return
    if kind == "cpu" and config is not None and not isinstance(config, LiteConfig):
        text = "This network takes seconds a frame there; consider scheduling long runs."
        form.warn("cpu", "Runs on the CPU, without CUDA", text)


def add_speed(form: Form, config: ModelConfig | None) -> None:
    """In what precision it computes; ``config`` is that of :func:`add_model`."""
    from hs2s_core.devices import pick_device
    from hs2s_core.models.inference import SPEEDS, choose_pace

    speed, text = form.get("speed", SPEEDS[0]), ""
    try:
        if config is not None:
            text = choose_pace(speed, config, pick_device(form.get("device", "auto"))).why
            text = f"auto is {text}" if speed == "auto" else text
    except HS2SError:
        pass  # the device's input says what is wrong
    form.choice("speed", SPEEDS, "Speed", default=SPEEDS[0], description=text)
