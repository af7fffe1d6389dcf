"""Makes MindSpore operators from C++ functions of the library."""

from __future__ import annotations

import mindspore
from mindspore import ops
from mindspore.ops import signature

from mindres.native import library

# A tuple, because MindSpore cannot compile a dictionary lookup.
DTYPES = tuple(library.ELEMENT_TYPES)


def computes(activations, weights) -> bool:
    """Whether the operators support activations and weights of these MindSpore types."""
    return activations in DTYPES and weights == mindspore.float32


def custom_operator(name, kind, like, bprop=None, shape=None, dtype=None, written=()):
    """The operator `name` of the library.

    Args:
        name: name of the C++ function.
        kind: distinguishes the operator from others of the same name. MindSpore merges operators
            with equal attributes, whatever their shapes and gradients.
        like: the number of the input with the shape and type of each output.
        bprop: the gradient function.
        shape: a function from the inputs' shapes to the shape of the only output, if no input has
            it.
        dtype: the type of the only output, if no input has it.
        written: for each input whether the function changes it; it must then be a parameter.
            MindSpore could otherwise pass a copy. Empty if no input is changed.
    """

    def of_inputs(*inputs):
        outputs = tuple(inputs[i] for i in like)
        return outputs if len(outputs) > 1 else outputs[0]

    def out_dtype(*_):
        return dtype

    function = f"{library.load().path}:{name}"
    types = out_dtype if dtype else of_inputs
    operator = ops.Custom(function, shape or of_inputs, types, "aot", bprop)
    operator.add_prim_attr("kind", f"{kind} {dtype}")
    if written:
        access = (signature.sig_rw.RW_READ, signature.sig_rw.RW_WRITE)
        names = [f"input{i}" for i in range(len(written))]
        operator.set_signatures(
            tuple(signature.make_sig(name, access[w]) for name, w in zip(names, written))
        )
        operator.add_prim_attr("side_effect_mem", True)
    return operator
