//! The normal distribution. `libm` is the same code on every platform, so that a verdict does not depend on one.

/// Probability of more than `z`.
pub(super) fn upper_tail(z: f64) -> f64 {
    libm::erfc(z / std::f64::consts::SQRT_2) / 2.0
}

/// The value above which this probability lies; `chance` is from 0 to 0.5.
pub(super) fn quantile(chance: f64) -> f64 {
    let (mut low, mut high) = (0.0_f64, 40.0_f64);
    while let middle = low + (high - low) / 2.0
        && middle > low
        && middle < high
    {
        if upper_tail(middle) > chance {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}
