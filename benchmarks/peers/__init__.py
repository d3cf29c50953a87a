"""Others that keep orders, each in an environment of its own, so that none of them is a dependency of this project."""
