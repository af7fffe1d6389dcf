"""A C++ function of the library as an operator of MindSpore, and the types that it takes."""

from __future__ import annotations

import mindspore
from mindspore import ops
from mindspore.ops import signature

from mindres.native import library

# A tuple: MindSpore does not compile a look into a dictionary.
DTYPES = tuple(library.ELEMENT_TYPES)


def computes(activations, weights) -> bool:
    """Whether the operators take activations and weights of these MindSpore types."""
    return activations in DTYPES and weights == mindspore.float32


def custom_operator(name, kind, like, bprop=None, shape=None, dtype=None, written=()):
    """The operator `name` of the library.

    Args:
        name: name of the C++ function.
        kind: what tells the operator from others of its name. MindSpore takes operators of equal
            attributes for one, whatever their shapes and gradients.
        like: for each output the number of the input whose shape and type it has.
        bprop: the gradient, as MindSpore wants it.
        shape: the shape of the only output, of those of the inputs, where no input has it.
        dtype: the type of the only output, where no input has it.
        written: for each input whether the function changes it, which must be a parameter then. If
            MindSpore did not know, it might hand over a copy. Empty if none is changed.
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
