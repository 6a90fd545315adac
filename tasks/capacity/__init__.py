"""Capacity: how many different images a policy can make of an image of one size, grey or coloured.

count            the capacity of a policy, for one image and for many
follow           a policy followed step by step, with what each of its steps does
steps            what one transform makes of a state
states           a state: a set of images that the steps so far can have made, all equally likely
draws            how many results a transform can have, by counting its random draws
grey_images      which transforms leave a grey image as it is, and which keep it grey
holes            what CoarseDropout and XYMasking make, by the sizes and places of their holes
labels           how many variants of each class are expected, where rules relabel them
pixel_arguments  arguments in pixels: what they ask for, and the size of image that they need
"""
