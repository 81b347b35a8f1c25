//! Backups carry the files of the gallery, and a restore brings them back.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::ops::Operated;
use crate::support::http::Client;
use crate::support::{Server, UNHURRIED, inkring};

/// Backups are made when somebody asks for them.
const BY_HAND: [(&str, &str); 2] = [("BACKUP_DIR", "backups"), ("BACKUP_INTERVAL_HOURS", "0")];

fn run(server: &Server, verb: &[&str]) -> (i32, String) {
    let Output { status, stdout, stderr } = inkring(server.directory.path()).envs(BY_HAND).args(verb).output().unwrap();
    (status.code().unwrap(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

#[track_caller]
fn succeeds(server: &Server, verb: &[&str]) -> String {
    let (code, said) = run(server, verb);
    assert_eq!(code, 0, "{said}");
    said
}

fn upload(client: &mut Client, query: &str, body: &[u8]) -> Value {
    let headers = [("Content-Type", "application/octet-stream")];
    client.request("POST", &format!("/api/v1/gallery/upload?{query}"), &headers, body).expect(200)
}

fn jpeg() -> Vec<u8> {
    let mut out = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut out, 90);
    encoder.encode(&vec![0x40; 600 * 400 * 3], 600, 400, jpeg_encoder::ColorType::Rgb).unwrap();
    out
}

/// What is in every file below a directory, by its path, in order.
fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    fn walk(directory: &Path, top: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, top, found)
            } else {
                found.push((path.strip_prefix(top).unwrap().to_owned(), fs::read(&path).unwrap()))
            }
        }
    }
    let mut found = Vec::new();
    walk(directory, directory, &mut found);
    found.sort();
    found
}

/// The one file with this in it.
fn file_with(directory: &Path, bytes: &[u8]) -> PathBuf {
    directory.join(&contents(directory).into_iter().find(|(_, content)| content == bytes).unwrap().0)
}

/// The records, each in its line.
fn exported(client: &mut Client) -> String {
    let answer = client.get("/api/v1/export", None);
    answer.text().split_once('\n').unwrap().1.to_owned()
}

/// A stopped server with a picture and a text, and a backup of both.
fn left_behind() -> (Server, PathBuf, PathBuf) {
    let mut server = Server::with(&[&UNHURRIED[..], &BY_HAND].concat());
    let mut client = server.connect();
    upload(&mut client, "name=photo.jpg", &jpeg());
    upload(&mut client, "name=a.txt", b"a text");
    drop(client);
    assert!(server.terminate().success());
    let said = succeeds(&server, &["backup"]);
    let backup = server.directory.path().join(said.lines().next().unwrap());
    let files = PathBuf::from(format!("{}.files", backup.display()));
    (server, backup, files)
}

#[test]
fn the_files_of_the_gallery_come_back_with_a_backup_that_a_running_server_made() {
    let Operated { mut server, plane } = Operated::with(&[&UNHURRIED[..], &BY_HAND].concat());
    let plane = plane.to_string();
    let mut client = server.connect();
    let photo = upload(&mut client, "name=photo.jpg&title=%D0%9B%D1%96%D1%82%D0%BE", &jpeg());
    upload(&mut client, "name=a.txt", b"a text");
    let backup = |to: &[&str]| {
        let verb = [&["backup"], to].concat();
        let output =
            inkring(server.directory.path()).envs(BY_HAND).env("OPS_ADDR", &plane).args(verb).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        (server.directory.path().join(said.lines().next().unwrap()), said)
    };
    let (first, said) = backup(&[]);
    assert!(said.contains("files          4, of "), "{said}");
    upload(&mut client, "name=b.txt", b"another text");
    let (second, _) = backup(&[]);
    let (elsewhere, said) = backup(&["--to", "elsewhere"]);
    assert!(said.contains("files          5, of "), "{said}");
    let files = |backup: &Path| PathBuf::from(format!("{}.files", backup.display()));
    // What the first has, the second shares, and none is there twice.
    let inode = |path: PathBuf| fs::metadata(path).unwrap().ino();
    let of = |backup: &Path| inode(file_with(&files(backup), b"a text"));
    assert_eq!(of(&first), of(&second));
    assert_eq!(contents(&files(&second).join("media")).len(), 5);

    let (before, album) = (exported(&mut client), client.get("/api/v1/gallery/items", None).text().to_owned());
    let urls: Vec<String> = [&photo["url"], &photo["thumbnail_url"]].map(|url| url.as_str().unwrap().to_owned()).into();
    let served: Vec<Vec<u8>> = urls.iter().map(|url| client.get(url, None).body).collect();
    let media = contents(&server.database().with_file_name("media"));
    drop(client);
    for backup in [&second, &elsewhere] {
        assert!(succeeds(&server, &["verify", backup.to_str().unwrap()]).starts_with("the backup is good\n"));
        assert!(server.terminate().success());
        fs::remove_dir_all(server.directory.path().join("data")).unwrap();
        let said = succeeds(&server, &["restore", backup.to_str().unwrap()]);
        assert!(said.contains("files: 5, of which 5 with "), "{said}");
        server.launch();
        let mut client = server.connect();
        assert_eq!(exported(&mut client), before);
        assert_eq!(client.get("/api/v1/gallery/items", None).text(), album);
        let again: Vec<Vec<u8>> = urls.iter().map(|url| client.get(url, None).body).collect();
        assert!(again == served, "to the byte");
        assert!(contents(&server.database().with_file_name("media")) == media);
        assert_eq!(run(&server, &["gallery", "verify"]).0, 0);
    }
}

#[test]
fn a_backup_whose_files_are_not_whole_is_not_good_and_not_restored() {
    let (server, backup, files) = left_behind();
    let file = backup.to_str().unwrap();
    let said = succeeds(&server, &["verify", file]);
    assert!(said.contains("files          4, of "), "{said}");
    let text = file_with(&files, b"a text");
    let list = files.join("list.txt");
    let (whole, lines) = (fs::read(&text).unwrap(), fs::read(&list).unwrap());
    let database = fs::read(server.database()).unwrap();
    // A link to what the server has is taken away first, and not written through.
    let put = |path: &Path, bytes: &[u8]| {
        fs::remove_file(path).unwrap_or_default();
        fs::write(path, bytes).unwrap();
    };
    let refused = |says: &str| {
        for verb in [&["verify", file][..], &["restore", file], &["restore", "--check", file]] {
            let (code, said) = run(&server, verb);
            assert_eq!(code, 3, "{said}");
            assert!(said.contains(says), "{says}: {said}");
        }
    };
    put(&text, b"A text");
    refused("has another SHA-256 than its list says");
    put(&text, b"a tex");
    refused("has 5 bytes, and its list says 6");
    fs::remove_file(&text).unwrap();
    refused("No such file");
    put(&text, &whole);
    put(&list, &lines[..lines.len() - 1]);
    refused("the list of its files has another SHA-256 than its manifest says");
    fs::remove_file(&list).unwrap();
    refused("list.txt: No such file");
    put(&list, &lines);
    assert_eq!(fs::read(server.database()).unwrap(), database);
    succeeds(&server, &["verify", file]);
}

#[test]
fn a_restore_puts_right_what_is_not_as_the_backup_has_it_and_leaves_the_rest() {
    let (mut server, backup, _) = left_behind();
    let media = server.database().with_file_name("media");
    server.launch();
    upload(&mut server.connect(), "name=newer.txt", b"newer");
    assert!(server.terminate().success());
    let damaged = file_with(&media, b"a text");
    fs::remove_file(&damaged).unwrap();
    fs::write(&damaged, b"A TEXT").unwrap();
    let photo = file_with(&media, &jpeg());
    fs::remove_file(&photo).unwrap();
    let file = backup.to_str().unwrap();
    let said = succeeds(&server, &["restore", "--check", file]);
    assert!(said.contains("files: 4, of which 2 with ") && said.contains("would be written"), "{said}");
    assert!(!photo.exists());
    let said = succeeds(&server, &["restore", file]);
    assert!(said.contains("files: 4, of which 2 with ") && said.contains("were written"), "{said}");
    assert_eq!((fs::read(&damaged).unwrap(), fs::read(&photo).unwrap()), (b"a text".to_vec(), jpeg()));
    file_with(&media, b"newer");
    assert!(succeeds(&server, &["restore", "--check", file]).contains("files: 4, of which 0 with 0 bytes"));
}

#[test]
fn a_backup_that_cannot_have_all_its_files_is_none() {
    let (server, backup, files) = left_behind();
    let before = fs::read_dir(backup.parent().unwrap()).unwrap().count();
    let text = file_with(&server.database().with_file_name("media"), b"a text");
    // Where a file should be is something that is none.
    fs::remove_file(&text).unwrap();
    fs::create_dir(&text).unwrap();
    fs::remove_dir_all(&files).unwrap();
    let (code, said) = run(&server, &["backup"]);
    assert_eq!(code, 1);
    assert!(
        said.contains("backup failed") && said.contains("it is not a regular file, or its name cannot be listed"),
        "{said}"
    );
    assert_eq!(fs::read_dir(backup.parent().unwrap()).unwrap().count(), before - 1, "nothing of it stays");
    // Nor is the other one any more, without its files.
    let said = run(&server, &["doctor"]).1;
    assert!(said.contains("the gallery files of the backup") && said.contains("are missing"), "{said}");
}
