"""`python -m mindres`: the same as `mindres`."""

from mindres.cli.program import main

main()
