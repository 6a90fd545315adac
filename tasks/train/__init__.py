"""The train stage: a classifier from the training originals and their variants.

__main__     the stage: reads the manifests, trains, writes the model and its numbers
params       the train block of params.yaml
model        the networks, by name
images       an image as the network takes it: a square of one size
image_array  images decoded into one array of one size
online       variants made on the fly, in worker processes
feed         the batches of an epoch, and how often each image was shown
fit          the training loop
inference    logits from images; which device; what makes a run deterministic
exposure     how often each source was shown, compared with the plan
curves       loss and accuracy over the epochs, as a picture
"""
