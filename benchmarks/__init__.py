"""Speed against peers, one command each; results are kept in benchmarks/results with the command that gave them."""
