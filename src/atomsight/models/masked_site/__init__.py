"""The masked-site network: message passing between the sites of a crystal, some of whose elements are hidden.

Each symmetry-unique site looks along its edges to its k nearest neighbours. It starts from its own distances
and from its element, or from a word that says that the element is hidden; the network names the hidden ones.
One set of weights then answers three questions: all hidden is a blind prediction; all but one known is the
pseudo-likelihood of that one (Besag 1975, 10.2307/2987782); and anything between. Training by hidden words is
that of Devlin et al. 2018 (arXiv:1810.04805); the gated messages are those of Xie and Grossman 2018
(10.1103/PhysRevLett.120.145301), without their bond features' need for known elements.
"""
