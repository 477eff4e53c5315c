//! Whose turn it is: a test that judges measured times has the machine for itself among the tests of the staging plan.

use std::cell::Cell;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

static QUIET: RwLock<()> = RwLock::new(());

thread_local! {
    /// How many turns this test holds: only the first one waits.
    static HELD: Cell<u32> = const { Cell::new(0) };
}

enum Guard {
    Shared { _lock: RwLockReadGuard<'static, ()> },
    Alone { _lock: RwLockWriteGuard<'static, ()> },
    Held,
}

/// Holds until it is dropped.
pub(super) struct Turn {
    _guard: Guard,
}

impl Turn {
    /// Beside others.
    pub(super) fn shared() -> Self {
        Self::take(|| Guard::Shared { _lock: QUIET.read().unwrap_or_else(PoisonError::into_inner) })
    }

    /// Without others; to be taken before anything else.
    pub(super) fn alone() -> Self {
        assert_eq!(HELD.get(), 0, "the first thing of a test");
        Self::take(|| Guard::Alone { _lock: QUIET.write().unwrap_or_else(PoisonError::into_inner) })
    }

    fn take(lock: impl FnOnce() -> Guard) -> Self {
        let guard = if HELD.get() == 0 { lock() } else { Guard::Held };
        HELD.set(HELD.get() + 1);
        Self { _guard: guard }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        HELD.set(HELD.get() - 1);
    }
}
