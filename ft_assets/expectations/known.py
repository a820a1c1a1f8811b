"""The expectations of Great Expectations 1.24 that a suite may name, and their arguments.

Written out, because a suite is checked when the platform file is loaded and importing Great
Expectations takes seconds; a test compares the list with the library. Left out are those that need
SQL, another table or a person to look at the values.
"""

_LIMITS = ("min_value", "max_value", "strict_min", "strict_max")

# Of each value of a column; `mostly` is the share that must hold.
_PER_VALUE = {
    "expect_column_value_lengths_to_be_between": _LIMITS,
    "expect_column_value_lengths_to_equal": ("value",),
    "expect_column_value_z_scores_to_be_less_than": ("threshold", "double_sided"),
    "expect_column_values_to_be_between": _LIMITS,
    "expect_column_values_to_be_dateutil_parseable": (),
    "expect_column_values_to_be_decreasing": ("strictly",),
    "expect_column_values_to_be_in_set": ("value_set",),
    "expect_column_values_to_be_in_type_list": ("type_list",),
    "expect_column_values_to_be_increasing": ("strictly",),
    "expect_column_values_to_be_json_parseable": (),
    "expect_column_values_to_be_null": (),
    "expect_column_values_to_be_of_type": ("type_",),
    "expect_column_values_to_be_unique": (),
    "expect_column_values_to_match_json_schema": ("json_schema",),
    "expect_column_values_to_match_regex": ("regex",),
    "expect_column_values_to_match_regex_list": ("regex_list", "match_on"),
    "expect_column_values_to_match_strftime_format": ("strftime_format",),
    "expect_column_values_to_not_be_in_set": ("value_set",),
    "expect_column_values_to_not_be_null": (),
    "expect_column_values_to_not_match_regex": ("regex",),
    "expect_column_values_to_not_match_regex_list": ("regex_list",),
}
# Of a column as a whole.
_PER_COLUMN = {
    "expect_column_distinct_values_to_be_in_set": ("value_set",),
    "expect_column_distinct_values_to_contain_set": ("value_set",),
    "expect_column_distinct_values_to_equal_set": ("value_set",),
    "expect_column_kl_divergence_to_be_less_than": (
        *("partition_object", "threshold", "bucketize_data"),
        *("tail_weight_holdout", "internal_weight_holdout"),
    ),
    "expect_column_max_to_be_between": _LIMITS,
    "expect_column_mean_to_be_between": _LIMITS,
    "expect_column_median_to_be_between": _LIMITS,
    "expect_column_min_to_be_between": _LIMITS,
    "expect_column_most_common_value_to_be_in_set": ("value_set", "ties_okay"),
    "expect_column_proportion_of_non_null_values_to_be_between": _LIMITS,
    "expect_column_proportion_of_unique_values_to_be_between": _LIMITS,
    "expect_column_quantile_values_to_be_between": ("quantile_ranges", "allow_relative_error"),
    "expect_column_stdev_to_be_between": _LIMITS,
    "expect_column_sum_to_be_between": _LIMITS,
    "expect_column_to_exist": ("column_index",),
    "expect_column_unique_value_count_to_be_between": _LIMITS,
}
_OF_PAIRS = {
    "expect_column_pair_values_a_to_be_greater_than_b": ("or_equal",),
    "expect_column_pair_values_to_be_equal": (),
    "expect_column_pair_values_to_be_in_set": ("value_pairs_set",),
}
_OF_SEVERAL = {
    "expect_compound_columns_to_be_unique": (),
    "expect_multicolumn_sum_to_equal": ("sum_total",),
    "expect_multicolumn_values_to_be_equal": (),
    "expect_select_column_values_to_be_unique_within_record": (),
}
_OF_TABLES = {
    "expect_table_column_count_to_be_between": ("min_value", "max_value"),
    "expect_table_column_count_to_equal": ("value",),
    "expect_table_columns_to_match_ordered_list": ("column_list",),
    "expect_table_columns_to_match_set": ("column_set", "exact_match"),
    "expect_table_row_count_to_be_between": _LIMITS,
    "expect_table_row_count_to_equal": ("value",),
}

# Name -> the arguments that it takes, those that name columns first.
EXPECTATIONS: dict[str, tuple[str, ...]] = {
    **{name: ("column", "mostly", *own) for name, own in _PER_VALUE.items()},
    **{name: ("column", *own) for name, own in _PER_COLUMN.items()},
    **{
        name: ("column_A", "column_B", "mostly", "ignore_row_if", *own)
        for name, own in _OF_PAIRS.items()
    },
    **{name: ("column_list", "mostly", "ignore_row_if", *own) for name, own in _OF_SEVERAL.items()},
    **_OF_TABLES,
}

ROW_COUNT = "expect_table_row_count_to_be_between"
KL_DIVERGENCE = "expect_column_kl_divergence_to_be_less_than"
# Those whose limits can be taken from earlier weeks: one number, or the mix, of a column.
COMPARABLE = (
    ROW_COUNT,
    KL_DIVERGENCE,
    "expect_column_mean_to_be_between",
    "expect_column_median_to_be_between",
    "expect_column_proportion_of_non_null_values_to_be_between",
    "expect_column_proportion_of_unique_values_to_be_between",
)
# The counts of a mix are kept in metadata with the values: closed vocabularies only.
MIX_COLUMNS = ("access", "kind", "language", "split")
