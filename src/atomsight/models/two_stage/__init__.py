"""The two-stage network: one scorer per element, then a softmax over their verdicts and the distances.

Stage one takes the k-NN distances of a site through three layers of 64 sigmoid units to 118 sigmoid outputs,
one per chemical element, under a binary cross-entropy in which the true class weighs 118 against the 117
absent ones. It is trained first, then frozen. Stage two is a softmax regression on the 118 outputs and the k
distances.
"""
