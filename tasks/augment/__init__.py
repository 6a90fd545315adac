"""Augment: the plan, the variants, their segments and the ledger that accounts for every one of them.

params     what the user decides                 policy     the transforms, behind one door
plan       how many variants each source gets    variants   making one variant from its recipe
capacity   how many different ones there can be  segments   tars of variants, the unit that DVC versions
ledger     a row for each variant                reuse      what was made before, and where it is
"""
