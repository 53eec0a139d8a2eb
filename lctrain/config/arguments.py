"""What each argument of an allowed class may hold."""

import re

from lctrain.config import checks
from lctrain.config.checks import Check
from lctrain.config.layer_arguments import DATA_FORMATS, find_layer_check

PRECISIONS = ("float32", "float64", "mixed_float16", "mixed_bfloat16")
FILL_MODES = ("constant", "nearest", "reflect", "wrap")
RANK = re.compile(r"[123](?=D)")
SIZES = ("kernel_size", "strides", "pool_size", "dilation_rate", "size", "output_size", "output_padding")


def find_check(class_name: str, group: str, argument: str) -> Check:
    """The check of one argument; a KeyError means that the tables below lack an argument of the allowlist."""
    if (class_name, argument) in CHECKS_OF_CLASSES:
        return CHECKS_OF_CLASSES[class_name, argument]
    found = RANK.search(class_name)
    check = None
    if found:
        rank = int(found[0])
        check = find_layer_check(class_name, argument, rank) or _find_check_of_axes(class_name, argument, rank)
    return check or CHECKS_OF_GROUPS.get((group, argument)) or CHECKS[argument]


def _find_check_of_axes(class_name: str, argument: str, rank: int) -> Check | None:
    """The check of an argument that says something of each spatial axis; None of any other."""
    if argument in SIZES:
        return checks.sizes(rank, least=0 if argument == "output_padding" else 1)
    if argument == "cropping" or (argument == "padding" and class_name.startswith("ZeroPadding")):
        return checks.margins(rank)
    if argument == "padding":
        return checks.padding("valid", "same", *(["causal"] if class_name == "Conv1D" else []))
    return None


# The names of arguments by what they may hold, in whichever class they are.
NAMES: dict[Check, str] = {
    checks.positive_integer: """
        filters units depth_multiplier groups n ema_overwrite_frequency height width bins num_bins num_tokens
        input_dim output_dim num_heads key_dim value_dim sliding_window head_dim num_query_heads num_key_value_heads
        power_iterations fft_length frame_length frame_step num_mel_bins sampling_rate sequence_stride sequence_length
        num_chains chain_depth num_ops decay_steps first_decay_steps ns_steps k top_k num_labels
    """,
    checks.non_negative_integer: "class_id num_regressors warmup_steps",
    checks.at_least_two: "num_classes num_thresholds",
    checks.class_or_none: "ignore_class",
    checks.accumulation_steps: "gradient_accumulation_steps",
    checks.boolean: """
        use_bias center scale keepdims trainable use_ema amsgrad centered nesterov return_sequences go_backwards
        stateful unroll reset_after unit_forget_bias zero_output_for_mask mask_zero tie_weights invert use_scale
        use_gate normalize flash_attention antialias all_ops crop_to_aspect_ratio pad_to_aspect_ratio periodic
        expand_dims power_to_db staircase cycle relative_step exclude_embeddings from_logits apply_class_balancing
        remove_diagonal multi_label sparse_y_true sparse_y_pred from_sorted_ids
    """,
    checks.fraction: "rate momentum rho beta_1 beta_2 ema_momentum adam_beta_1 adam_beta_2 dropout recurrent_dropout",
    checks.positive: """
        epsilon learning_rate clipnorm clipvalue global_clipnorm epsilon_1 epsilon_2 clip_threshold logit_soft_cap
        t_mul m_mul decay_rate power delta gamma mag_exp min_power ref_power adam_lr_ratio rms_rate clip_limit
        max_freq top_db
    """,
    checks.non_negative: """
        stddev l1 l2 factor weight_decay initial_accumulator_value max_value min_value negative_slope threshold alpha
        l1_regularization_strength l2_regularization_strength beta l2_shrinkage_regularization_strength
        adam_weight_decay margin initial_learning_rate end_learning_rate warmup_target min_freq
    """,
    checks.number: """
        gain mean minval maxval value mask_value fill_value muon_a muon_b muon_c beta_2_decay learning_rate_power
    """,
    checks.factor: """
        addition_factor threshold_factor height_factor width_factor x_factor y_factor brightness_factor
        contrast_factor saturation_factor hue_factor sigma
    """,
    checks.axes: "axis shared_axes axes attention_axes",
    checks.numbers: "values bin_boundaries label_weights boundaries",
    checks.activation: "activation recurrent_activation",
    checks.inner_fraction: "q",
    checks.pair_of_numbers: "value_range",
    checks.class_ids: "target_class_ids",
    checks.dims: "output_shape",
    checks.equation: "equation",
    checks.einsum_axes: "bias_axes",
    checks.salt: "salt",
    checks.seed: "seed",
    checks.noise_shape: "noise_shape",
    checks.shape: "target_shape",
    checks.positive_integers: "dims",
    checks.number_or_numbers: "offset",
    checks.between(0, 1): "label_smoothing precision recall sensitivity specificity thresholds",
}
CHECKS: dict[str, Check] = {
    **{name: check for check, names in NAMES.items() for name in names.split()},
    "tile_grid_size": checks.sizes(2),
    "data_format": checks.one_of(*DATA_FORMATS),
    "dtype": checks.one_of(*PRECISIONS),
    "interpolation": checks.one_of("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5", "area"),
    "distribution": checks.one_of("truncated_normal", "untruncated_normal", "normal", "uniform"),
    "fill_mode": checks.one_of(*FILL_MODES),
    "merge_mode": checks.one_of("sum", "mul", "concat", "ave"),
    "output_mode": checks.one_of("int", "one_hot", "multi_hot", "count"),
    "score_mode": checks.one_of("dot", "concat"),
    "use_cudnn": checks.one_of("auto", True, False),
    "window": checks.one_of("hann", "hamming"),
    "scaling": checks.one_of("density", "spectrum"),
    "side": checks.one_of("real", "imag"),
    "curve": checks.one_of("ROC", "PR"),
    "summation_method": checks.one_of("interpolation", "minoring", "majoring"),
    "average": checks.one_of("micro", "macro", "weighted"),
    "class_aggregation": checks.one_of("uniform_average", "variance_weighted_average"),
}
CHECKS_OF_GROUPS: dict[tuple[str, str], Check] = {
    ("layers", "factor"): checks.factor,
    ("initializers", "scale"): checks.positive,
    ("initializers", "seed"): checks.seed_of_initializer,
    ("initializers", "value"): checks.numbers_of_any_depth,
    **dict.fromkeys([("regularizers", name) for name in ("l1", "l2")], checks.or_null(checks.non_negative)),
    ("constraints", "axis"): checks.or_null(checks.axes),
    ("metrics", "threshold"): checks.between(0, 1),
    **dict.fromkeys([("losses", "dtype"), ("metrics", "dtype")], checks.one_of("float32", "float64")),
}
CHECKS_OF_CLASSES: dict[tuple[str, str], Check] = {
    ("Dense", "activation"): checks.or_auto(checks.activation),
    ("Dense", "units"): checks.or_auto(checks.positive_integer),
    ("UpSampling1D", "size"): checks.positive_integer,
    ("GaussianNoise", "stddev"): checks.between(0, 1),
    ("Lion", "beta_1"): checks.inner_fraction,
    ("Rescaling", "scale"): checks.number_or_numbers,
    **dict.fromkeys([("Normalization", name) for name in ("mean", "variance")], checks.numbers_of_any_depth),
    ("VarianceScaling", "mode"): checks.one_of("fan_in", "fan_out", "fan_avg"),
    ("OrthogonalRegularizer", "mode"): checks.one_of("rows", "columns"),
    ("RandomFlip", "mode"): checks.one_of("horizontal", "vertical", "horizontal_and_vertical"),
    ("STFTSpectrogram", "mode"): checks.one_of("log", "magnitude", "psd", "real", "imag", "angle", "stft"),
    ("STFTSpectrogram", "padding"): checks.padding("valid", "same"),
    ("AUC", "thresholds"): checks.thresholds,
    ("MinMaxNorm", "rate"): checks.between(0, 1),
    ("RandomGaussianBlur", "kernel_size"): checks.sizes(2),
    **dict.fromkeys([("RandomElasticTransform", "scale"), ("RandomErasing", "scale")], checks.factor),
    ("RandomPerspective", "scale"): checks.factor,
}
