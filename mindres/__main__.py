"""`python -m mindres`: the same as `mindres`."""

from mindres.cli import main

main()
