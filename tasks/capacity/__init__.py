"""Capacity: how many different images a policy can make of an image of one size.

count   the capacity of a policy, by following the probabilities of its steps
steps   what one transform makes of a state
states  a state: a set of images that the steps so far can have made, each as likely as the others
draws   how many results a transform can have, by counting its random draws
"""
