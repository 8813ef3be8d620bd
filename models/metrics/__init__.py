"""Figures of quality, each written once.

`models.segment.measure` has IoU, `models.superres.evaluate` has PSNR-Y and SSIM.
"""
