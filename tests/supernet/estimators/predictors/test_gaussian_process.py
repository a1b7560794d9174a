"""The Gaussian process by the formulas of the textbook, for the scales it has chosen."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from supernet.estimators.predictors.gaussian_process import GaussianProcess
from tests.supernet.estimators.predictors.examples import accuracies, architectures, features
from tests.supernet.estimators.tasks import task

SOME = architectures(30)
REST = architectures(60)[30:]


@pytest.fixture(scope="module")
def fitted() -> GaussianProcess:
    return GaussianProcess(task(), features()).fit(SOME, accuracies(SOME))


def test_mean_and_deviation_are_those_of_the_posterior(fitted):
    scaler = StandardScaler().fit(features().table(SOME))
    x, z = scaler.transform(features().table(SOME)), scaler.transform(features().table(REST))
    y = accuracies(SOME)
    signal, noise = fitted.model.kernel_.k1, fitted.model.kernel_.k2.noise_level
    height, length = signal.k1.constant_value, signal.k2.length_scale

    def kernel(one, other):
        """Rasmussen and Williams, 2006, equation 4.17."""
        r = np.sqrt(5) * np.linalg.norm(one[:, None] - other[None], axis=2) / length
        return height * (1 + r + r**2 / 3) * np.exp(-r)

    inverse = np.linalg.inv(kernel(x, x) + (noise + 1e-8) * np.eye(len(x)))
    mean = kernel(z, x) @ inverse @ ((y - y.mean()) / y.std())
    variance = height + noise - np.einsum("ij,jk,ik->i", kernel(z, x), inverse, kernel(z, x))
    assert fitted.score(REST).numpy() == pytest.approx(mean * y.std() + y.mean(), rel=1e-6)
    assert fitted.deviation(REST).numpy() == pytest.approx(np.sqrt(variance) * y.std(), rel=1e-3)


def test_it_is_surer_of_what_it_has_seen(fitted):
    assert fitted.deviation(SOME).max() < fitted.deviation(REST).mean()
    off = abs(fitted.score(REST).numpy() - accuracies(REST))
    assert (off < 3 * fitted.deviation(REST).numpy()).mean() > 0.9


def test_equal_rows_and_equal_accuracies_can_be_fitted():
    made, same = GaussianProcess(task(), features()), [SOME[0]] * 3
    assert made.fit(same, [70.0, 71.0, 72.0]).score(same).tolist() == pytest.approx([71] * 3)
    assert made.fit(SOME, [70.0] * 30).score(REST).tolist() == pytest.approx([70] * 30)


def test_a_number_of_restarts_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="restarts is -1"):
        GaussianProcess(task(), features(), restarts=-1)
