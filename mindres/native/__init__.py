"""Native operators for CPU: convolution, normalisation and ReLU over MindSpore's own oneDNN.

MindSpore hands oneDNN plain (NCHW) layouts, for which oneDNN has few fast kernels. The operators
here keep activations in the layouts that oneDNN prefers. `accelerated` puts them into a network for
the time of a block; where they cannot be used (another device, neither wheel nor compiler,
`MINDRES_NATIVE=0`) networks run as they are, and slower.

    accelerate.py   puts native cells into networks, and takes them out again
    replacements.py which cells are replaced; what a new residual network says to be among them
    networks.py     what cells become
    operators.py    the operators and their gradients
    custom.py       a C++ function as an operator of MindSpore
    precision.py    mixed precision: what an `amp_level` is on each device
    geometry.py     what a convolution tells the operators: padding, shapes, groups, settings
    library.py      the compiled library: found or compiled, loaded, or why not
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
