"""The command-line tool's groups of commands, one file each."""
