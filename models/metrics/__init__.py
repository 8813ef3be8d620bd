"""Figures of quality, each written once.

`models.superres.evaluate` has PSNR-Y and SSIM.
"""
