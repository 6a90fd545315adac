"""The network: what it takes, how it is built, and what it says of images.

params       words of params.yaml that say what it takes
images       an image as the network takes it: a square of one size
image_array  images decoded into one array of one size
array_cache  arrays that are kept for later runs
networks     the networks, by name; small_cnn, efficientnet_lite and pooling are parts of them
weights      what a network knows before it is trained here
device       which device; what makes a run deterministic; how batches get there
inference    logits from images
calibration  the temperature that makes probabilities of them
saved_model  the trained model and its card, as the train stage leaves them
"""
