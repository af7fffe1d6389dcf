"""Finds networks and families by name, and defines what the file of a family must contain."""

from __future__ import annotations

import fnmatch
import functools
import importlib
import inspect
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from mindres.compat import mindspore as private
from mindres.errors import unknown
from mindres.models import homes
from mindres.weights.naming import Naming
from mindres.weights.publishers import Source


@dataclass(frozen=True)
class Network:
    """The facts about a network as its function builds it by default.

    The sizes stand here because building and running all networks takes half a minute. A test
    compares them with `summarize`.

    Attributes:
        input_shape: channels, height and width of the images that it was designed for.
        parameters: number of weights.
        multiply_adds: number of multiply-adds for one image of `input_shape`.
        weights: published weights by publisher; `pretrained=True` loads the first.
        design: the family's own description, from which its function builds the network.
    """

    input_shape: tuple[int, int, int]
    parameters: int
    multiply_adds: int
    weights: dict[str, Source] = field(default_factory=dict)
    design: Any = None


@dataclass(frozen=True)
class Family:
    """A family of networks, which its file defines as `FAMILY`.

    Attributes:
        networks: the rows by name.
        namings: the parameter names of each publisher, by publisher.
        stem: our name of the first convolution's weight, whose shape has the images' channels.
        recognize: a function from a file's `recognition.Parameters` to the options of
            `create_model` that they show, with the name as "arch"; an empty dict for a file of
            another family. `in_channels` and `num_classes` may be left out.
        pytorch_naming: a function from `net.architecture` to the naming for PyTorch.
        lookalikes: patterns of parameter names that show a file to hold a similar network, which
            cannot be loaded, and what the network is.
    """

    networks: dict[str, Network]
    namings: dict[str, Naming]
    stem: str
    recognize: Callable[..., dict]
    pytorch_naming: Callable[[dict], Naming]
    lookalikes: dict[str, str] = field(default_factory=dict)


def list_models(pattern: str = "*") -> list[str]:
    """The names of the networks that match a shell-style `pattern`, in the order of the index."""
    return [name for name in homes() if fnmatch.fnmatchcase(name, pattern)]


def known(name: str) -> str:
    """Return `name` if it is the name of a network.

    Raises:
        UserError: it is not; the message suggests the nearest names.
    """
    if name in homes():
        return name
    raise unknown("network", name, homes())


def family(name: str) -> Family:
    """The family of the network called `name`."""
    return importlib.import_module(homes()[known(name)]).FAMILY


def families() -> list[Family]:
    """All families, in the order of the index."""
    return [importlib.import_module(module).FAMILY for module in dict.fromkeys(homes().values())]


def network(name: str) -> Network:
    """The row of the network called `name`."""
    return family(name).networks[name]


def networks() -> dict[str, Network]:
    """The rows of all networks by name, in the order of the index."""
    return {name: network(name) for name in homes()}


def function(name: str) -> Callable:
    """The function that builds the network called `name`."""
    return getattr(importlib.import_module(homes()[known(name)]), name)


def network_functions(networks: dict[str, Network], make: Callable) -> dict[str, Callable]:
    """The function of each of `networks` by name: `make(name, network)` with its docstring."""
    return {name: documented(row, name)(make(name, row)) for name, row in networks.items()}


def documented(row: Network, name: str) -> Callable[[Callable], Callable]:
    """A decorator that gives a function the name of its network and the row's facts as docstring.

    The decorated function skips the initial values of a network whose weights it loads.
    """

    def decorate(build: Callable) -> Callable:
        signature = inspect.signature(build)

        @functools.wraps(build)
        def function(*arguments, **options):
            loads = signature.bind(*arguments, **options).arguments.get("pretrained")
            with private.without_initial_values() if loads else nullcontext():
                return build(*arguments, **options)

        classes = signature.parameters["num_classes"].default
        size = "x".join(str(number) for number in row.input_shape)
        text = inspect.cleandoc(build.__doc__ or "")
        function.__name__ = name
        function.__qualname__ = name
        function.__doc__ = (
            f"{name}: {row.parameters:,} parameters at {classes} classes, "
            f"{row.multiply_adds:,} multiply-adds for an image of {size}.\n\n"
            f"Published weights: {', '.join(row.weights) or 'none'}.\n\n{text}"
        )
        return function

    return decorate
