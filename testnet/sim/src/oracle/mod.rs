//! The naive ledger: judges every decided block by recomputing everything that its header says.
