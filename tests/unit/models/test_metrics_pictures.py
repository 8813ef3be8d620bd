"""Figures of enlarged pictures, against scikit-image's (their module needs OpenCV)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

pytest.importorskip("cv2", reason="needs the [learn] extra (opencv)")

from models.superres.evaluate import luma, psnr, ssim

pytestmark = pytest.mark.learn


def test_psnr_and_ssim_agree_with_scikit_image() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (48, 40, 3), dtype=np.uint8)
    wanted = luma(image)
    got = wanted + rng.normal(0, 6, wanted.shape)
    assert luma(np.full((1, 1, 3), 255, np.uint8))[0, 0] == pytest.approx(235, abs=0.01)
    assert psnr(got, wanted) == pytest.approx(peak_signal_noise_ratio(wanted, got, data_range=255))
    assert psnr(wanted, wanted) == math.inf
    usual = structural_similarity(
        wanted, got, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(got, wanted) == pytest.approx(usual)
