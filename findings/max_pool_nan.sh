#!/usr/bin/env bash
# Max pooling hides NaN on TensorFlow.  Keras 3.15.1, TensorFlow 2.21.0 on a CPU, JAX 0.10.2.
#
# Behaviour: where a window holds NaN alone, keras.ops.max_pool (so MaxPooling1D, 2D, 3D) gives the lowest finite number on the TensorFlow
# backend, and where it holds NaN among numbers the largest of these. On the JAX backend both give NaN, as NumPy's max does, and average
# pooling gives NaN on either. So a net whose activations are NaN can end in finite predictions: a normalisation whose stored variance
# is negative, behind it a max pool and a dense layer.
#
# Output seen:
#   tensorflow: max [1.0, -3.4028234663852886e+38], average [nan, nan]
#   jax: max [nan, nan], average [nan, nan]
# Ends with 1 if that is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q keras==3.15.1 tensorflow-cpu==2.21.0 jax==0.10.2
export TF_CPP_MIN_LOG_LEVEL=3
cat >"$folder/pool.py" <<'PYTHON'
import keras
import numpy as np

x = np.full((1, 4, 1), np.nan, "float32")
x[0, 0, 0] = 1.0
largest, mean = (np.asarray(pool(x, 2, 2, "valid"))[0, :, 0].tolist() for pool in (keras.ops.max_pool, keras.ops.average_pool))
print(f"{keras.backend.backend()}: max {largest}, average {mean}")
PYTHON
seen=$(for backend in tensorflow jax; do KERAS_BACKEND=$backend "$folder/env/bin/python" "$folder/pool.py" 2>/dev/null; done)
echo "$seen"
test "$seen" = "tensorflow: max [1.0, -3.4028234663852886e+38], average [nan, nan]
jax: max [nan, nan], average [nan, nan]"
