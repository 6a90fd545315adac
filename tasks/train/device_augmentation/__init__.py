"""Device augmentation: batches augmented where the model is, by few operations on whole batches.

policy     which steps of a policy there are, and with which arguments
philox     Philox4x32-10: random numbers as a function of a key and a counter
draws      what each step draws for each image, from such numbers
operations what is done with the pixels of a batch
mixing     mixup and cutmix
batches    what an epoch shows of some sources: all of the above together
replay     one such image again
"""
