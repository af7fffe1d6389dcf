"""Native operators for CPU: convolution, normalisation and ReLU over MindSpore's own oneDNN.

MindSpore passes plain (NCHW) layouts to oneDNN, which has few fast kernels for them. The operators
here keep activations in the layouts that oneDNN prefers. `accelerated` puts them into a network
within a block. If they cannot be used (another device, neither wheel nor compiler,
`MINDRES_NATIVE=0`), networks run on MindSpore's operators, more slowly.

    accelerate.py   puts native cells into networks, and removes them again
    replacements.py which cells are replaced, and what a new residual network must define for it
    networks.py     the native cells
    operators.py    the operators and their gradients
    custom.py       MindSpore operators from C++ functions
    precision.py    mixed precision: the meaning of `amp_level` on each device
    geometry.py     padding, shapes, groups and settings of convolutions
    library.py      finds or compiles the library, and loads it
    build.py        the compiler
    cpp/            operators.cc and its headers; signals.cc, which tells Ctrl-C from SIGTERM

To add an operator, write its function in cpp/operators.cc and a row with its gradient in
operators.py. To add an element type, see ELEMENT_TYPES in library.py and cpp/element_types.h.
"""

from mindres.lazy import lazy_names

_HOMES = {
    "accelerated": "mindres.native.accelerate",
    "why_not": "mindres.native.library",
}
__all__ = sorted(_HOMES)
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
