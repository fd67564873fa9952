"""What SAELens keeps and computes for each kind of dictionary that petit reads; written once, compared ever after.

It wants another TransformerLens than the other oracles (below 4), so it is not run with them:

    python -m venv saelens && saelens/bin/pip install sae-lens==6.54.12
    saelens/bin/python tests/oracles/saelens_golden.py tests/parity/saelens.json
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import sae_lens
import torch
from safetensors.torch import load_file

D, F, E, N = 6, 10, 5, 7
KINDS = {
    "standard": {}, "jumprelu": {}, "topk": {"k": 3}, "topk, by length": {"k": 3, "rescale_acts_by_decoder_norm": True},
    "transcoder": {"d_out": E}, "jumprelu_transcoder": {"d_out": E}, "skip_transcoder": {"d_out": E},
    "jumprelu_skip_transcoder": {"d_out": E},
}


def main() -> None:
    rng, golden = np.random.default_rng(0), {}
    x = rng.normal(size=(N, D)).astype(np.float32)
    for name, options in KINDS.items():
        architecture = name.split(",")[0]
        transcodes = architecture.endswith("transcoder")
        metadata = {"hook_name": "blocks.1.ln1.hook_normalized" if transcodes else "blocks.1.hook_resid_post",
                    **({"hook_name_out": "blocks.1.hook_mlp_out"} if transcodes else {}), "model_name": "tiny"}
        one = sae_lens.SAE.from_dict({"architecture": architecture, "d_in": D, "d_sae": F, "metadata": metadata,
                                      "apply_b_dec_to_input": not transcodes, **options})
        with torch.no_grad():
            for weight in one.parameters():
                weight.copy_(torch.from_numpy(rng.normal(size=tuple(weight.shape)).astype(np.float32)))
            features, output = one.encode(torch.from_numpy(x)), one(torch.from_numpy(x))
        with tempfile.TemporaryDirectory() as folder:
            weights, config = one.save_model(folder)
            golden[name] = {"config": json.loads(Path(config).read_text()),
                            "tensors": {key: value.tolist() for key, value in load_file(weights).items()},
                            "features": features.tolist(), "output": output.tolist()}
    made = {"made_by": f"sae-lens {sae_lens.__version__}", "x": x.tolist(), "kinds": golden}
    Path(sys.argv[1]).write_text(json.dumps(made) + "\n")


if __name__ == "__main__":
    main()
