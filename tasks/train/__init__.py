"""Train: a classifier from the training originals and their variants.

params    what the user decides                      model      the networks, by name
images    which images, as one array of one size     inference  logits from images
feed      what an epoch shows                        online     variants made when they are asked for
fit       the loop                                   exposure   what the model really saw
"""
