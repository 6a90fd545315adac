"""The train stage: a classifier from the training originals and their variants.

__main__   the stage: reads the manifests, trains, writes the model and its numbers
params     the train block of params.yaml
samples    what an epoch shows, a row for each image
order      in which order an epoch shows it
online     variants made on the fly, in worker processes
feed       the batches of an epoch, and how often each image was shown
device_augmentation/  batches augmented where the model is
distributed/  training on several devices or hosts
loop/      the training loop, its optimizer, its checkpoints
history    a row for each epoch, and which is the best
exposure   how often each source was shown, compared with the plan
outputs    what is written and reported
curves     loss and accuracy over the epochs, as a picture
"""
