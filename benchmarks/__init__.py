"""One command, one results file: `make bench`. Everything is a ratio measured in one run; the machine is noisy."""
