"""Cards."""

from handlens.zoo.catalog import Architecture

CARDS: list[Architecture] = []
