//! Prepares what pages load: all styles as one file, everything compressed, and named by what is in it, so that no request has to and
//! browsers may keep it for ever. And says what the version is.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::hash::{Hash as _, Hasher as _};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs, io};

use flate2::Compression;
use flate2::write::GzEncoder;

const FILES: &str = "src/pages/app";
/// The client that watches drafts, which pages use as everybody does.
const CLIENT: &str = "docs/clients/inkring.js";
/// All files of the ending `.css`, that of the frame first, which the others build on.
const STYLE: &str = "app.css";
const FIRST: &str = "frame.css";

/// Says what the version is. Where there is no repository, as in an archive of the sources, `INKRING_COMMIT` may name the commit.
fn say_version() {
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    println!("cargo::rerun-if-env-changed=INKRING_COMMIT");
    let build = match env::var("PROFILE").as_deref() {
        Ok("release") => commit(),
        _ => Some("debug".to_owned()),
    };
    let version = build.map_or(version.clone(), |build| format!("{version}+{build}"));
    println!("cargo::rustc-env=INKRING_VERSION={version}");
}

/// The commit that is built, and whether the tree is as committed.
fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned())
    };
    if let Some(named) = env::var("INKRING_COMMIT").ok().filter(|named| !named.is_empty()) {
        return Some(named);
    }
    let directory = git(&["rev-parse", "--git-dir"])?;
    for file in ["HEAD", "index", "logs/HEAD"] {
        println!("cargo::rerun-if-changed={directory}/{file}");
    }
    println!("cargo::rerun-if-changed=src");
    let commit = git(&["rev-parse", "--short=9", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.is_empty() { commit } else { format!("{commit}.dirty") })
}

fn main() -> io::Result<()> {
    say_version();
    println!("cargo::rerun-if-changed={FILES}");
    println!("cargo::rerun-if-changed={CLIENT}");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    let mut paths = vec![PathBuf::from(CLIENT)];
    for file in fs::read_dir(FILES)? {
        paths.push(file?.path());
    }
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for path in paths {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        files.insert(name, fs::read(path)?);
    }
    let mut style = files.remove(FIRST).unwrap_or_default();
    let (styles, mut files): (BTreeMap<_, _>, BTreeMap<_, _>) =
        files.into_iter().partition(|(name, _)| name.ends_with(".css"));
    style.extend(styles.into_values().flatten());
    files.insert(STYLE.to_owned(), style);
    let mut version = DefaultHasher::new();
    let mut table = String::new();
    for (name, bytes) in &files {
        (name, bytes).hash(&mut version);
        let packed = gzip(bytes)?;
        // A picture is packed already.
        let is_packed = packed.len() < bytes.len() / 10 * 9;
        let held = if is_packed { &packed } else { bytes };
        fs::write(out.join(name), held)?;
        let (content_type, held) =
            (content_type(name), format!("include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}\"))"));
        let line =
            format!("File {{ name: {name:?}, content_type: {content_type:?}, held: {held}, is_packed: {is_packed} }}");
        writeln!(table, "    {line},").map_err(io::Error::other)?;
    }
    let text = format!(
        "/// What all files are named by: another one when any of them is another.\n\
         pub(super) const VERSION: &str = \"{:016x}\";\n\
         /// Everything that pages load, by name.\n\
         static FILES: [File; {}] = [\n{table}];\n",
        version.finish(),
        files.len()
    );
    fs::write(out.join("assets.rs"), text)
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(bytes)?;
    packed.finish()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    }
}
