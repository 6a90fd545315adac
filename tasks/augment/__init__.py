"""Augment: the plan, the variants, their segments and the ledger that accounts for every one of them.

params     what the user decides                 policy     the transforms, behind one door
plan       how many variants each source gets    variants   making one variant from its recipe
published  TrivialAugment and others as steps     segments   tars of variants, the unit that DVC versions
transforms which a policy may use                reuse      what of the present sources was made before
ledger     a row for each variant                stored     a segment made before, and its rows
accounts   rows, and what was written            caches     where segments made before lie
counts     counts.csv and the totals             sources    which images are augmented
jobs       what workers are given to do
capacity   how many different ones there can be: states that steps lead to, by the draws that they make

forecast, cautions, epochs: what `variegate plan` says. preview, verify, export with its layouts: the commands.
"""
