"""The six ways async agents die, each caused here and each caught."""
