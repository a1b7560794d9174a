"""Products with the Hessian of a loss, and its largest eigenvalue, without the Hessian itself.

Pearlmutter, "Fast Exact Multiplication by the Hessian", 1994; Lanczos, 1950, as in Golub and Van Loan, "Matrix
Computations", section 10.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from supernet.gradients import grad, leaves, vjp

Product = Callable[[Tensor], Tensor]
"""From a vector v ``(size,)`` to ``H v``, both float64 on the CPU."""

EXHAUSTED = 1e-10  # what is left of a product outside the basis, relative to H, that is but rounding


def hessian_product(loss: Callable[[Sequence[Tensor]], Tensor], point: Sequence[Tensor]) -> Product:
    """The product with the Hessian of ``loss`` for all tensors of ``point`` together, by double backward.

    The graph of the gradient is built once and lives as long as the product does.
    """
    inputs = leaves(point)
    sizes = [x.numel() for x in inputs]
    with torch.compiler.set_stance("force_eager"):  # compiled code cannot be differentiated twice
        slopes = grad(loss(inputs), inputs, create_graph=True)

    def product(vector: Tensor) -> Tensor:
        parts = [part.to(x).view_as(x) for part, x in zip(vector.split(sizes), inputs, strict=True)]
        found = vjp(slopes, inputs, parts, retain_graph=True)
        return torch.cat([part.flatten() for part in found]).to("cpu", torch.float64)

    return product


def largest_eigenvalue(product: Product, size: int, tolerance: float = 1e-3) -> float:
    """The largest (not the largest absolute) eigenvalue of a symmetric ``(size, size)`` matrix known by its product.

    Lanczos' method with full reorthogonalisation: for the few hundred alphas of a search the basis is small, the method
    ends exactly after ``size`` steps at the latest, and nothing in it is random but a start that is always the same, so
    that a resumed search finds the same number. (The restarts of ARPACK, `scipy.sparse.linalg.eigsh`, draw from a
    generator of their own.) The start must not be constant: under a softmax a shift of all alphas of an edge changes
    nothing, so such directions are eigenvectors of the eigenvalue 0.

    Args:
        product: from v to ``H v``.
        size: the length of v.
        tolerance: of the residual ``||H v - lambda v||``, relative to lambda; the error of lambda is of its square.

    Returns:
        The eigenvalue; not a number where the Hessian has an entry that is none.
    """
    start = torch.randn(size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    basis = (start / start.norm())[None]  # one row a step
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    while True:
        image = product(basis[-1])
        diagonal.append(basis[-1] @ image)
        for _ in range(2):  # once leaves rounding errors in the directions of the basis, twice is enough
            image = image - basis.T @ (basis @ image)
        rest = image.norm()
        if not rest.isfinite():
            return float("nan")
        matrix = torch.diag(torch.stack(diagonal))
        if beside:
            off = torch.stack(beside)
            matrix = matrix + torch.diag(off, 1) + torch.diag(off, -1)
        values, vectors = torch.linalg.eigh(matrix)
        residual = rest * vectors[-1, -1].abs()
        exhausted = len(basis) == size or rest <= EXHAUSTED * values.abs().max()
        if exhausted or residual <= tolerance * values[-1].abs():
            return float(values[-1])
        beside.append(rest)
        basis = torch.cat([basis, (image / rest)[None]])
