//! Dense identifiers. Says which step, pool or file is meant; knows nothing about them.

use serde::{Deserialize, Serialize};

/// Index of a step in [`crate::plan::Plan::steps`] (declaration order after expansion).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StepId(pub u32);

impl StepId {
    /// Position in the plan's step list.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// The id of the step at `index`.
    ///
    /// # Panics
    /// When a plan has more than `u32::MAX` steps, which the loader refuses.
    #[must_use]
    pub fn at(index: usize) -> Self {
        Self(u32::try_from(index).expect("the loader bounds the number of steps"))
    }
}

/// Index of a pool in [`crate::plan::Plan::pools`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PoolId(pub u32);

/// Index of a plan file in [`crate::place::Sources`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u16);
