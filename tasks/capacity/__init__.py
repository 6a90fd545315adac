"""Capacity: how many different images a policy can make of an image of one size.

count   the capacity of a policy          steps   what one transform makes of a state
states  which images are the same         draws   how many ways a transform can draw
"""
