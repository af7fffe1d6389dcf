"""Speed against peers, a command each; benchmarks/results has results and how to get them."""
