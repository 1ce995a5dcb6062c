"""The smallest real nodes that keep the contract of the graph as the command line sees it: no learning in them."""
