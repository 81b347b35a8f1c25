//! Every setting of the server. Their owners declare them; here they are in the order in which they are shown.

use std::sync::LazyLock;

use crate::features;
use crate::settings::Knob;

/// Every setting, grouped by section.
pub static KNOBS: LazyLock<Vec<&'static Knob>> = LazyLock::new(features::knobs);
