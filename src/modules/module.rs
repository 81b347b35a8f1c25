//! The seven modules by their names (contract 04 §1.4 to §1.6).

/// One of them.
#[derive(Debug)]
pub(super) struct Module {
    /// As in paths.
    pub(super) id: &'static str,
    /// As people call it.
    pub(super) name: &'static str,
    /// What it is for, at its root.
    pub(super) description: &'static str,
    /// The same in the list at `/`.
    pub(super) listed: &'static str,
}

/// All of them in the contract's order.
pub(super) static MODULES: [Module; 7] = [
    Module {
        id: "ci", name: "Ci", description: "Центральне ядро, оркестрація", listed: "Ci - Центральне ядро"
    },
    Module {
        id: "kazkar", name: "Казкар", description: "Пам'ять, історії, легенди", listed: "Казкар - Пам'ять"
    },
    Module {
        id: "podija", name: "Подія", description: "Події, майбутнє, сценарії", listed: "Подія - Події"
    },
    Module {
        id: "nastrij", name: "Настрій", description: "Емоційні стани, контекст", listed: "Настрій - Емоції"
    },
    Module {
        id: "malya", name: "Маля", description: "Ідеї, творчість, інновації", listed: "Маля - Ідеї"
    },
    Module {
        id: "gallery", name: "Галерея", description: "Візуальний архів, медіа", listed: "Галерея - Медіа"
    },
    Module {
        id: "calendar", name: "Календар", description: "Час, ритми, планування", listed: "Календар - Час"
    },
];

impl Module {
    /// The module of this name.
    pub(super) fn of(id: &str) -> Option<&'static Self> {
        MODULES.iter().find(|module| module.id == id)
    }
}
