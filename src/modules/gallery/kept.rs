//! What of the gallery goes into backups: every upload, with what was made of it.

use std::io;
use std::path::Path;

use super::super::options::gallery_directory;
use super::shelf::{Found, Part, Shelf};
use crate::feature::KeptFiles;

/// Its files. They are there before the record that names them, and go a day after the last one did.
pub(in crate::modules) const FILES: KeptFiles = KeptFiles { name: "media", directory: gallery_directory, each };

fn each(directory: &Path, see: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    if !directory.is_dir() {
        return Ok(());
    }
    let shelf = Shelf::at(directory);
    shelf.walk(&mut |found| {
        let path = match found {
            Found::Original(name) => shelf.path(&name, Part::Original),
            Found::Beside { path, .. } => path,
            Found::Foreign(_) => return Ok(()),
        };
        see(path.strip_prefix(directory).map_err(io::Error::other)?)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;

    use super::super::kind::Kind;
    use super::*;

    #[test]
    fn whole_files_are_told_in_their_order_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path().join("media");
        let told = || {
            let mut told = Vec::new();
            each(&here, &mut |path| {
                told.push(path.to_str().unwrap().to_owned());
                Ok(())
            })
            .unwrap();
            told
        };
        assert!(told().is_empty(), "there is no directory yet");
        let shelf = Arc::new(Shelf::open(&here).unwrap());
        let whole = |bytes: &[u8]| {
            let mut writing = shelf.begin().unwrap();
            writing.write_all(bytes).unwrap();
            writing.end()
        };
        for number in 0..20 {
            let beside = vec![(Part::Small, whole(&[number, 1]))];
            drop(shelf.keep(whole(&[number]), Kind::named("image/jpeg"), beside).unwrap());
        }
        let coming = shelf.begin().unwrap();
        std::fs::write(here.join("notes.txt"), "x").unwrap();
        let told = told();
        assert_eq!(told.len(), 40);
        assert!(told.is_sorted() && told.iter().all(|path| here.join(path).is_file()), "{told:?}");
        drop(coming);
    }
}
