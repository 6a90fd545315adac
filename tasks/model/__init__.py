"""The network: what it takes, how it is built, and what it says of images.

params       words of params.yaml that say what it takes
images       an image as the network takes it: a square of one size
image_array  images decoded into one array of one size
networks     the networks, by name; small_cnn and pooling are parts of them
device       which device; what makes a run deterministic; how batches get there
inference    logits from images
saved_model  the trained model and its card, as the train stage leaves them
"""
