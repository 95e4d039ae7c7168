"""Una GPU de mentira: tensores que dicen estar en «gpu:0», con los números en la CPU, y que no se mezclan con esa CPU.

Se importa en un proceso aparte (tests/test_gpu.py): registrar un dispositivo cambia torch para siempre.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

# Los tensores de inferencia no admiten envoltorios; sin gradiente y con él, las cuentas son las mismas.
torch.inference_mode = lambda mode=True: torch.no_grad()
_setup_privateuseone_for_python_backend("gpu")
DEVICE = torch.device("gpu:0")


class OnGpu(torch.Tensor):
    """Un tensor «en la GPU»; `inner` es el de la CPU que hace las cuentas."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, real):
        options = dict(strides=real.stride(), storage_offset=real.storage_offset(), dtype=real.dtype, device=DEVICE)
        tensor = torch.Tensor._make_wrapper_subclass(cls, real.size(), **options)
        tensor.inner = real
        return tensor

    def tolist(self):
        return self.inner.tolist()

    def numpy(self, *args, **kwargs):
        raise TypeError("un tensor de la GPU no se convierte en uno de NumPy sin pasar por .cpu()")

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return compute(operation, args, kwargs or {})


def compute(operation, args, kwargs):
    """Hace la operación en la CPU, con las reglas de una GPU sobre qué puede ir junto."""
    name = operation.overloadpacket.__name__
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    on_gpu = any(isinstance(tensor, OnGpu) for tensor in tensors)
    on_cpu = any(not isinstance(tensor, OnGpu) and tensor.dim() for tensor in tensors)  # un número suelto puede ir
    if name in ("copy_", "index", "index_put", "index_put_"):  # manda el primero; los índices pueden venir de la CPU
        first = isinstance(args[0], OnGpu)
        if on_gpu and not first and name != "copy_":
            raise RuntimeError(f"índices en la GPU para un tensor de la CPU: {operation}")
        on_gpu = first
    elif on_gpu and on_cpu and name != "_to_copy":
        raise RuntimeError(f"Expected all tensors to be on the same device: {operation}")
    args_real, kwargs_real = tree_map_only(OnGpu, lambda tensor: tensor.inner, (args, dict(kwargs)))
    if kwargs.get("device") is not None:
        on_gpu = torch.device(kwargs["device"]).type == "gpu"
        kwargs_real["device"] = "cpu"
    out = operation(*args_real, **kwargs_real)
    if operation._schema.name.endswith("_"):
        return args[0]
    return tree_map_only(torch.Tensor, lambda t: t if isinstance(t, OnGpu) else OnGpu(t), out) if on_gpu else out


class Machine(TorchDispatchMode):
    """Con esto activo, `device="gpu"` y `.to("gpu")` funcionan."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        return compute(operation, args, kwargs or {})


def _empty(size, *, dtype=None, layout=None, device=None, pin_memory=None, memory_format=None):
    return OnGpu(torch.empty(size, dtype=dtype, device="cpu"))


def _empty_strided(size, stride, *, dtype=None, layout=None, device=None, pin_memory=None):
    return OnGpu(torch.empty_strided(size, stride, dtype=dtype, device="cpu"))


def _copy_from(source, target, non_blocking=False):
    real = [tensor.inner if isinstance(tensor, OnGpu) else tensor for tensor in (source, target)]
    real[1].copy_(real[0])
    return target


library = torch.library.Library("aten", "IMPL")
library.impl("empty.memory_format", _empty, "PrivateUse1")
library.impl("empty_strided", _empty_strided, "PrivateUse1")
library.impl("_copy_from", _copy_from, "PrivateUse1")
