"""Training on several devices or hosts: one process for each device, started by torch's launcher.

launch         the stage starts its processes, and tells in one line why one of them failed
rank           one of these processes: how it joins the others, and how it ends
group          who a process is among them, its share of the work, and what they tell each other
devices        the device of each process
gradient_sum   gradients are summed over all processes while they are computed
batch_norm     batch normalisation over the images of all processes

torch.distributed calls such a process a rank, and their number the world.
"""
