"""Measures of quality.

`models.superres.evaluate` has PSNR-Y and SSIM.
"""
