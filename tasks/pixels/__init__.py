"""Pixels: decode, encode, hash and convert images.

Pixels are upright arrays, (height, width) for grey and (height, width, 3) for RGB; uint8, or uint16
where a caller asks for the depth that a file has.
"""
