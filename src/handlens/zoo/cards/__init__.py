"""The cards of all architectures, in the order of the article."""

from handlens.zoo.cards import channel, depth, light, mixed, spatial, width
from handlens.zoo.catalog import register

for card in (
    *depth.CARDS,
    *width.CARDS,
    *spatial.CARDS,
    *channel.CARDS,
    *mixed.CARDS,
    *light.CARDS,
):
    register(card)
