"""Functions as a user's module has them: other processes import it, and find them by their names."""

import functools

import numpy as np

import autodiff as ad

X = np.linspace(0.5, 1.5, 6)
LARGE = np.linspace(-1.0, 1.0, 1 << 18)  # work for several threads


def loss(x, scale=2.0):
    return np.sum(np.tanh(x * scale) ** 2 + np.sqrt(x * x + 1.0))


def wave(x):
    return np.sin(x) * x


def large(x):
    return np.sum(np.exp(np.sin(x) * 0.5) * np.tanh(x) + x * x)


@ad.primitive
def tanh(x):
    """Named like an operation of the package, and something else."""
    return x * 3.0


@tanh.defvjp
def _tanh_rule(d, y, x):
    return d * 3.0


tanh.defjvp(lambda t, y, x: t * 3.0)


def with_tanh(x):
    return np.sum(tanh(x) * x)


@ad.jit
def decorated(x):
    return np.sum(np.sin(x) * np.exp(-x))


@ad.jit
@ad.grad
def twice_decorated(x):
    return np.sum(np.sin(x) ** 3)


@ad.value_and_grad
def decorated_with_value(x):
    return np.sum(np.cos(x) * x)


class Model:
    """With parameters, called as a function, and with a method that is compiled."""

    def __init__(self, w):
        self.w = w

    def __call__(self, x):
        return np.sum(np.tanh(self.w * x))

    @ad.grad
    def slope(x, self=None):
        return np.sum(np.sin(x))

    @ad.jit
    def step(self, x):
        return x - 0.1 * np.sin(x)


compiled_large = ad.jit(large)
swept_large = ad.grad(compiled_large)

MADE = {
    "grad": lambda: ad.grad(loss),
    "grad with settings": lambda: ad.grad(loss, argnums=(0,)),
    "value_and_grad": lambda: ad.value_and_grad(loss),
    "elementwise_grad": lambda: ad.elementwise_grad(wave),
    "jacobian": lambda: ad.jacobian(wave, mode="forward"),
    "hessian": lambda: ad.hessian(loss),
    "vmap": lambda: ad.vmap(wave),
    "checkpoint": lambda: ad.checkpoint(loss),
    "jit": lambda: ad.jit(loss),
    "jit with passes": lambda: ad.jit(loss, passes=("share",)),
    "grad of a checkpoint": lambda: ad.grad(ad.checkpoint(loss)),
    "grad of jit": lambda: ad.grad(ad.jit(loss)),
    "jit of grad": lambda: ad.jit(ad.grad(loss)),
    "grad of jit of vmap": lambda: ad.grad(ad.jit(functools.partial(summed, ad.vmap(wave)))),
    "jvp": lambda: functools.partial(along, ad.jvp, loss),
    "hvp": lambda: functools.partial(along, ad.hvp, loss),
    "an object with parameters": lambda: ad.grad(Model(X)),
    "a partial": lambda: ad.grad(functools.partial(loss, scale=0.5)),
    "of a primitive": lambda: ad.hessian(with_tanh),
    "a primitive": lambda: tanh,
    "decorated with jit": lambda: decorated,
    "decorated twice": lambda: twice_decorated,
    "decorated with value_and_grad": lambda: decorated_with_value,
    "a function that was made in a class": lambda: Model.slope,
    "grad of what is decorated": lambda: ad.grad(decorated),
    "the pullback of vjp": lambda: functools.partial(pulled, ad.vjp(loss, X)[1]),
}
"""For each way to make a function one that takes X."""


def summed(f, x):
    return np.sum(f(x))


def along(transform, f, x):
    return transform(f, (x,), (np.ones_like(x),))


def pulled(pullback, x):
    return pullback(np.float64(1.5)), x


def bits(f):
    """What a function makes of X, as bytes."""
    return [np.asarray(part).tobytes() for part in parts(f(X))]


def parts(found):
    return [leaf for part in found for leaf in parts(part)] if isinstance(found, tuple) else [found]


def computed(name):
    """The bits of one of these where they are made, for a process of its own."""
    return bits(MADE[name]())


def of_large(times=1):
    """What several threads compute together: eager, compiled, and compiled with its sweep."""
    return [(compiled_large(LARGE).tobytes(), swept_large(LARGE).tobytes()) for _ in range(times)]


def sends_a_tensor(send):
    """A gradient whose function sends its argument away."""

    def f(x):
        send(x)
        return np.sum(x)

    return ad.grad(f)(X)
