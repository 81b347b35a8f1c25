//! Which modules are active (contract 04 §1.5 with R6): one state, which their data, their roots and the registry go by.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value};

use super::errors::inactive;
use super::module::MODULES;
use crate::gate::ApiError;

/// The states of all modules: active from the start on.
#[derive(Debug)]
pub(super) struct States([AtomicBool; MODULES.len()]);

impl States {
    pub(super) fn new() -> Self {
        Self([const { AtomicBool::new(true) }; MODULES.len()])
    }

    fn of(&self, module: &str) -> Option<&AtomicBool> {
        let index = MODULES.iter().position(|known| known.id == module)?;
        self.0.get(index)
    }

    pub(super) fn is_active(&self, module: &str) -> bool {
        self.of(module).is_some_and(|state| state.load(Ordering::Relaxed))
    }

    pub(super) fn set(&self, module: &str, active: bool) {
        if let Some(state) = self.of(module) {
            state.store(active, Ordering::Relaxed);
        }
    }

    /// That modules are shut down, if any are: their data is served by nobody, and everything else is well.
    pub(super) fn warning(&self) -> Option<Map<String, Value>> {
        let inactive: Vec<&str> = MODULES.iter().map(|module| module.id).filter(|id| !self.is_active(id)).collect();
        let warning = format!("shut down: {}", inactive.join(", "));
        (!inactive.is_empty()).then(|| Map::from_iter([("warning".to_owned(), warning.into())]))
    }

    /// 503 while a module is shut down.
    pub(super) fn require(&self, module: &str) -> Result<(), ApiError> {
        if self.is_active(module) { Ok(()) } else { Err(inactive(module)) }
    }
}
