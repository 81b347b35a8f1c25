//! Files of the household's gallery: uploads as curl and browsers send them, how they are served, and what becomes of them:
//! photographs whose name lies, and files that a browser would run as a page.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::faults::limit_files;
use crate::support::http::{Answer, Client};
use crate::support::{Server, inkring, wait_for};

const UPLOAD: &str = "/api/v1/gallery/upload";

fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let mut out = Vec::new();
    let pixels = vec![0x40; usize::from(width) * usize::from(height) * 3];
    jpeg_encoder::Encoder::new(&mut out, 90).encode(&pixels, width, height, jpeg_encoder::ColorType::Rgb).unwrap();
    // Where it was taken, as far as anybody can tell, and which way is up.
    let exif = b"\xff\xe1\x00\x2eExif\0\0MM\0*\0\0\0\x08\0\x02\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\x88\x25\0\x04\0\0\0\x01\0\0\0\0\0\0\0\0";
    [&out[..2], exif, &out[2..]].concat()
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn raw(client: &mut Client, query: &str, content_type: &str, body: &[u8]) -> Answer {
    client.request("POST", &format!("{UPLOAD}?{query}"), &[("Content-Type", content_type)], body)
}

fn octets(client: &mut Client, query: &str, body: &[u8]) -> Value {
    raw(client, query, "application/octet-stream", body).expect(200)
}

/// A form with one file, of which its sender says this.
fn form(client: &mut Client, name: &str, sent: &str, file: &[u8]) -> Value {
    let head = format!(
        "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: {sent}\r\n\r\n"
    );
    let body = [head.as_bytes(), file, b"\r\n--B--\r\n"].concat();
    raw(client, "", "multipart/form-data; boundary=B", &body).expect(200)
}

fn get(client: &mut Client, path: &str, headers: &[(&str, &str)]) -> Answer {
    client.request("GET", path, headers, b"")
}

fn path_of(item: &Value) -> &str {
    item["url"].as_str().unwrap()
}

/// Every file of the gallery, in order.
fn files(server: &Server) -> Vec<String> {
    fn walk(directory: PathBuf, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(path, found)
            } else {
                found.push(path.file_name().unwrap().to_str().unwrap().into())
            }
        }
    }
    let mut found = Vec::new();
    walk(media(server), &mut found);
    found.sort();
    found
}

fn media(server: &Server) -> PathBuf {
    server.database().with_file_name("media")
}

fn verify(server: &Server) -> (i32, String) {
    let Output { status, stdout, stderr } =
        inkring(server.directory.path()).args(["gallery", "verify"]).output().unwrap();
    (status.code().unwrap(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

#[test]
fn an_upload_is_a_record_and_a_file_that_is_served() {
    let server = Server::start();
    let mut client = server.connect();
    let photo = jpeg(1600, 900);
    let item = octets(
        &mut client,
        "name=IMG_1.HEIC&title=%D0%9B%D1%96%D1%82%D0%BE&tags=a,b&taken_at=2024-05-06T07:08",
        &photo,
    );
    let address = format!("/media/{}.jpg", hash(&photo));
    assert_eq!((path_of(&item), &item["title"]), (address.as_str(), &json!("Літо")));
    assert_eq!((&item["media_type"], &item["mime_type"]), (&json!("photo"), &json!("image/jpeg")));
    assert_eq!((&item["file_size"], &item["tags"]), (&json!(photo.len()), &json!(["a", "b"])));
    assert_eq!(item["taken_at"], "2024-05-06T07:08:00");
    let metadata = json!({ "sha256": hash(&photo), "name": "IMG_1.HEIC", "width": 900, "height": 1600 });
    assert_eq!(item["media_metadata"], metadata, "the right way up");
    assert_eq!(client.get("/api/v1/gallery/items/1", None).expect(200), item);

    let whole = get(&mut client, &address, &[]);
    assert_eq!((whole.status, whole.header("content-type")), (200, Some("image/jpeg")));
    assert_eq!(whole.body.len(), photo.len());
    assert!(whole.body != photo && !whole.body.windows(2).any(|tag| tag == b"\x88\x25"), "nobody is told where it was");
    assert_eq!(
        whole.header("content-disposition").unwrap(),
        "inline; filename=\"IMG_1.HEIC\"; filename*=UTF-8''IMG_1.HEIC"
    );
    assert_eq!(whole.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(whole.header("cache-control"), Some("private, max-age=31536000, immutable"));
    let tag = whole.header("etag").unwrap().to_owned();
    let known = get(&mut client, &address, &[("If-None-Match", &tag)]);
    assert_eq!((known.status, known.body.len(), known.header("etag")), (304, 0, Some(tag.as_str())));
    let part = get(&mut client, &address, &[("Range", "bytes=2-5")]);
    assert_eq!((part.status, &part.body[..]), (206, &whole.body[2..6]));
    assert_eq!(part.header("content-range").unwrap(), format!("bytes 2-5/{}", photo.len()));
    assert_eq!(get(&mut client, &address, &[("Range", "bytes=999999999-")]).status, 416);
    let head = client.request("HEAD", &address, &[], b"");
    assert_eq!(head.header("content-length").unwrap(), photo.len().to_string());

    let thumbnail = item["thumbnail_url"].as_str().unwrap().to_owned();
    assert_eq!(thumbnail, format!("{address}?size=small"));
    let small = get(&mut client, &thumbnail, &[]);
    let large = get(&mut client, &format!("{address}?size=large"), &[]);
    assert_eq!((small.status, small.header("content-type")), (200, Some("image/jpeg")));
    assert!(small.body.starts_with(b"\xff\xd8") && small.body.len() < large.body.len());
    for nothing in [
        format!("{address}?size=huge"),
        format!("/media/{}.png", hash(&photo)),
        format!("/media/{}.jpg", hash(b"x")),
        "/media/x".to_owned(),
        "/media/..%2f..%2finkring.db".to_owned(),
        "/media/incoming".to_owned(),
    ] {
        assert_eq!(get(&mut client, &nothing, &[]).status, 404, "{nothing}");
    }
    assert_eq!(files(&server).len(), 4, "itself, the same without its place, and two thumbnails");
    assert_eq!(fs::read(media(&server).join(&hash(&photo)[..2]).join(&address[7..])).unwrap(), photo, "as it was sent");
}

#[test]
fn where_a_picture_was_taken_is_served_if_the_household_says_so() {
    let server = Server::with(&[("GALLERY_KEEP_LOCATION", "true")]);
    let mut client = server.connect();
    let photo = jpeg(60, 40);
    let item = octets(&mut client, "", &photo);
    assert_eq!((&item["title"], get(&mut client, path_of(&item), &[]).body), (&json!("photo.jpg"), photo));
}

#[test]
fn forms_are_taken_as_curl_and_browsers_send_them() {
    let server = Server::start();
    let mut client = server.connect();
    let curl = "--------------------------d74496d66958873e\r\nContent-Disposition: form-data; name=\"file\"; filename=\"Фото 1.txt\"\r\n\
                Content-Type: text/plain\r\n\r\nhello\n\r\n--------------------------d74496d66958873e\r\n\
                Content-Disposition: form-data; name=\"title\"\r\n\r\nПерший\r\n--------------------------d74496d66958873e--\r\n";
    let firefox = "-----------------------------9051914041544843365972754266\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\n\
                   Другий\r\n-----------------------------9051914041544843365972754266\r\nContent-Disposition: form-data; name=\"tags\"\r\n\r\n\
                   дім\r\n-----------------------------9051914041544843365972754266\r\nContent-Disposition: form-data; name=\"file\"; \
                   filename=\"a %22b%22.txt\"\r\nContent-Type: text/plain\r\n\r\nhello\n\r\n\
                   -----------------------------9051914041544843365972754266--\r\n";
    let chrome = "------WebKitFormBoundary7MA4YWxkTrZu0gW\r\nContent-Disposition: form-data; name=\"file\"; filename=\"c.txt\"\r\n\
                  Content-Type: application/octet-stream\r\n\r\nhello\n\r\n------WebKitFormBoundary7MA4YWxkTrZu0gW--\r\n";
    for (body, boundary, title, shown) in [
        (curl, "------------------------d74496d66958873e", "Перший", "Фото 1.txt"),
        (firefox, "---------------------------9051914041544843365972754266", "Другий", "a \"b\".txt"),
        (chrome, "----WebKitFormBoundary7MA4YWxkTrZu0gW", "c.txt", "c.txt"),
    ] {
        let content_type = format!("multipart/form-data; boundary={boundary}");
        let item = raw(&mut client, "title=unheard", &content_type, body.as_bytes());
        // What stands in a query is of no form that has fields of its own.
        let item = item.expect(200);
        let title = if body == chrome { "unheard" } else { title };
        assert_eq!((&item["title"], &item["media_metadata"]["name"]), (&json!(title), &json!(shown)));
        assert_eq!((&item["mime_type"], &item["file_size"]), (&json!("text/plain"), &json!(6)));
        assert_eq!(get(&mut client, path_of(&item), &[]).body, b"hello\n");
    }
    assert_eq!(files(&server).len(), 1, "the same file thrice");
    // Cut anywhere, a form is none, and nothing of it stays.
    for cut in (1..curl.len()).step_by(29) {
        let content_type = "multipart/form-data; boundary=------------------------d74496d66958873e";
        raw(&mut server.connect(), "", content_type, &curl.as_bytes()[..cut]).expect_error(422);
    }
    raw(&mut server.connect(), "", "multipart/form-data", b"x").expect_error(422);
    assert_eq!(
        raw(&mut server.connect(), "", "application/octet-stream", b"").expect_error(422).1,
        "The file is empty"
    );
    let items = client.get("/api/v1/gallery/items", None).expect(200);
    assert_eq!((items.as_array().unwrap().len(), files(&server).len()), (3, 1));
}

#[test]
fn the_same_upload_again_is_the_same_record_and_with_other_words_it_is_another() {
    let server = Server::start();
    let mut client = server.connect();
    let first = octets(&mut client, "name=a.txt&title=A", b"text");
    assert_eq!(
        octets(&mut client, "name=a.txt&title=A", b"text"),
        first,
        "an answer may be lost, and it is tried again"
    );
    let second = octets(&mut client, "name=a.txt&title=B", b"text");
    assert_eq!((&second["id"], &second["url"]), (&json!(2), &first["url"]));
    let by_url = client.get(&format!("/api/v1/gallery/items?url={}", path_of(&first)), None);
    assert_eq!(by_url.header("x-total-count"), Some("2"));
    let wrong = raw(&mut client, "title=C&taken_at=soon", "application/octet-stream", b"never");
    assert_eq!(wrong.expect(422)["detail"][0]["type"], "datetime_parsing");
    wait_for(|| (files(&server).len() == 1).then_some(()));
    // With its last record it is not shown any more; it stays for who takes that out of the bin.
    let delete = |client: &mut Client, id: u8| {
        client.request("DELETE", &format!("/api/v1/gallery/items/{id}"), &[], b"").expect(200)
    };
    delete(&mut client, 1);
    assert_eq!(get(&mut client, path_of(&first), &[]).status, 200);
    delete(&mut client, 2);
    assert_eq!(get(&mut client, path_of(&first), &[]).status, 404);
    client.request("POST", "/api/v1/gallery/items/2/restore", &[], b"").expect(200);
    assert_eq!(get(&mut client, path_of(&first), &[]).body, b"text");
}

#[test]
fn a_file_goes_with_its_last_record_for_good() {
    let server = Server::start();
    let mut client = server.connect();
    let photo = octets(&mut client, "title=A", &jpeg(600, 400));
    octets(&mut client, "title=B", &jpeg(600, 400));
    octets(&mut client, "name=a.txt", b"another");
    assert_eq!(files(&server).len(), 5);
    for (id, left) in [(1, 5), (2, 1)] {
        client.request("DELETE", &format!("/api/v1/gallery/items/{id}"), &[], b"").expect(200);
        assert_eq!(files(&server).len(), 5, "it may be brought back");
        client.request("DELETE", &format!("/api/v1/bin/gallery/{id}"), &[], b"").expect(200);
        wait_for(|| (files(&server).len() == left).then_some(()));
    }
    assert_eq!(get(&mut client, path_of(&photo), &[]).status, 404);
    assert_eq!(verify(&server).0, 0);
    assert_eq!(client.request("DELETE", "/api/v1/bin/gallery/2", &[], b"").status, 404);
}

#[test]
fn pictures_are_what_they_are_whatever_they_are_called() {
    let server = Server::start();
    let mut client = server.connect();
    let heic = [&b"\x00\x00\x00\x18ftypheic\0\0\0\0mif1heic"[..], &[7; 100]].concat();
    let avif = [&b"\x00\x00\x00\x18ftypavif\0\0\0\0mif1avif"[..], &[7; 100]].concat();
    let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xea\x60\0\0\xea\x60\x08\x06\0\0\0".to_vec();
    bomb.extend([0; 40]);
    let before = server.memory_kb("VmHWM");
    for (body, name, sent, mime, end) in [
        (&heic[..], "IMG_0001.jpg", "image/jpeg", "image/heic", ".heic"),
        (&jpeg(60, 40), "IMG_0002.HEIC", "image/heic", "image/jpeg", ".jpg"),
        (&jpeg(40, 60), "x", "application/octet-stream", "image/jpeg", ".jpg"),
        (&avif, "a.png", "image/png", "image/avif", ".avif"),
        (&bomb[..40], "cut.png", "image/png", "image/png", ".png"),
        (&bomb, "bomb.png", "image/png", "image/png", ".png"),
    ] {
        let item = form(&mut client, name, sent, body);
        assert_eq!((&item["mime_type"], path_of(&item).ends_with(end)), (&json!(mime), true), "{name}");
        let served = get(&mut client, path_of(&item), &[]);
        assert_eq!(served.header("content-type"), Some(mime));
        assert_eq!(served.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(item["thumbnail_url"].is_null(), mime != "image/jpeg");
    }
    assert!(server.memory_kb("VmHWM") - before < 20_000, "nothing of 60,000 pixels squared is decoded");
    let mut paths = Vec::new();
    for name in ["../../etc/Йод 1.jpg", "../../etc/И\u{306}од 1.jpg"] {
        let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("name", name).finish();
        let item = octets(&mut client, &query, &jpeg(30, 30));
        assert_eq!(item["title"], "Йод 1.jpg");
        let served = get(&mut client, path_of(&item), &[]);
        let disposition = served.header("content-disposition").unwrap();
        assert!(disposition.ends_with("filename*=UTF-8''%D0%99%D0%BE%D0%B4%201.jpg"), "{disposition}");
        paths.push(item);
    }
    assert_eq!(paths[0], paths[1]);
}

#[test]
fn pictures_that_are_programs_are_only_given_away() {
    let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"document.title='ran'\"><script>document.title='ran'</script></svg>";
    let utf16: Vec<u8> = [0xfeff].into_iter().chain(svg.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let server = Server::start();
    let mut client = server.connect();
    for (body, name, sent) in [
        (svg.as_bytes().to_vec(), "a.svg", "image/svg+xml"),
        (format!("{svg} ").into_bytes(), "a.png", "image/png"),
        (format!("\u{feff}{svg}").into_bytes(), "a.png", "image/png"),
        (format!("{}<!-- x -->{svg}", " ".repeat(300)).into_bytes(), "a.png", "image/png"),
        (utf16, "a.png", "image/png"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03gzip".to_vec(), "a.svgz", "image/svg+xml"),
        (b"GIF89a/*<script>document.title='ran'</script>*/=1".to_vec(), "a.gif", "image/gif"),
        (b"<!doctype html><script>document.title='ran'</script>".to_vec(), "photo.jpg", "image/jpeg"),
    ] {
        let item = form(&mut client, name, sent, &body);
        assert_eq!((&item["media_type"], &item["thumbnail_url"]), (&json!("document"), &Value::Null));
        let served = get(&mut client, path_of(&item), &[]);
        assert_eq!((served.status, &served.body), (200, &body));
        // A GIF that is none is text, which does not run either.
        let content_type = if name == "a.gif" { "text/plain; charset=utf-8" } else { "application/octet-stream" };
        assert_eq!(served.header("content-type"), Some(content_type), "{name}");
        assert!(served.header("content-disposition").unwrap().starts_with("attachment; "));
        assert_eq!(served.header("x-content-type-options"), Some("nosniff"));
        let policies: Vec<_> = served.headers.iter().filter(|(name, _)| name == "content-security-policy").collect();
        assert_eq!(policies.len(), 1, "{policies:?}");
        assert_eq!(policies[0].1, "sandbox; default-src 'none'");
    }
}

#[test]
fn a_large_file_costs_no_memory_and_one_over_the_bound_is_not_taken() {
    const MEGABYTES: usize = 48;
    let server = Server::start();
    let piece: Vec<u8> = (0..1 << 20).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let head = |megabytes: usize| {
        let length = megabytes << 20;
        format!(
            "POST {UPLOAD}?name=film.bin HTTP/1.1\r\nHost: test\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    octets(&mut server.connect(), "", b"to warm up");
    let before = server.memory_kb("VmHWM");
    let mut client = server.connect();
    client.send(head(MEGABYTES));
    (0..MEGABYTES).for_each(|_| client.send(&piece));
    let item = client.answer().expect(200);
    let grown = server.memory_kb("VmHWM") - before;
    assert!(grown < 4 * 1024, "an upload has taken {grown} kB");
    assert_eq!(item["media_metadata"]["sha256"], hash(&piece.repeat(MEGABYTES)));
    // What says at once that it is too large is not waited for.
    let mut client = server.connect();
    client.send(head(52));
    assert_eq!(client.answer().expect_error(413).1, "The file is over the limit of 52428800 bytes");
    let small = Server::with(&[("GALLERY_MAX_BYTES", "1000")]);
    let over = raw(&mut small.connect(), "", "application/octet-stream", &[b'x'; 1001]);
    assert_eq!(over.expect_error(413).1, "The file is over the limit of 1000 bytes");
    octets(&mut small.connect(), "", &[b'x'; 1000]);
    assert_eq!(files(&small).len(), 1);
}

#[test]
fn an_upload_that_breaks_off_leaves_nothing_nor_does_one_that_the_server_does_not_outlive() {
    let mut server = Server::start();
    let head = format!(
        "POST {UPLOAD} HTTP/1.1\r\nHost: test\r\nContent-Type: application/octet-stream\r\nContent-Length: 1000000\r\n\r\n"
    );
    let begin = |server: &Server| {
        let mut client = server.connect();
        client.send(&head);
        client.send(vec![b'x'; 500_000]);
        wait_for(|| (files(server).len() == 1).then_some(()));
        client
    };
    drop(begin(&server));
    wait_for(|| files(&server).is_empty().then_some(()));
    let _client = begin(&server);
    server.kill();
    assert_eq!(files(&server).len(), 1);
    server.launch();
    assert!(files(&server).is_empty());
    assert_eq!(server.get("/api/v1/gallery/items").expect(200), json!([]));
}

#[test]
fn a_disk_that_takes_nothing_is_said_and_nothing_half_stays() {
    const ROOM: u64 = 1 << 20;
    let server = Server::start();
    limit_files(&server, Some(ROOM));
    let full = raw(&mut server.connect(), "", "application/octet-stream", &vec![7; ROOM as usize + 100_000]);
    assert_eq!(full.expect_error(503).1, "The file could not be stored; nothing was changed");
    wait_for(|| files(&server).is_empty().then_some(()));
    octets(&mut server.connect(), "", &[7; 1000]);
    limit_files(&server, None);
    octets(&mut server.connect(), "", &vec![7; ROOM as usize + 100_000]);
}

#[test]
fn verify_finds_what_is_missing_damaged_and_of_no_record() {
    let server = Server::start();
    let mut client = server.connect();
    assert_eq!(verify(&server).0, 0, "an empty one is whole");
    let [whole, damaged, missing] = [&b"whole"[..], b"damaged", b"missing"].map(|body| octets(&mut client, "", body));
    let photo = octets(&mut client, "", &jpeg(60, 40));
    client.request("DELETE", "/api/v1/gallery/items/4", &[], b"").expect(200);
    let (code, said) = verify(&server);
    assert_eq!((code, said.lines().next()), (0, Some("the gallery is intact")), "{said}");
    assert!(said.contains("files          4\n"), "{said}");
    let file = |item: &Value| {
        let name = path_of(item).strip_prefix("/media/").unwrap();
        media(&server).join(&name[..2]).join(name)
    };
    fs::write(file(&damaged), b"DAMAGED").unwrap();
    fs::remove_file(file(&missing)).unwrap();
    let orphan = format!("{}.txt", hash(b"orphan"));
    fs::create_dir_all(media(&server).join(&orphan[..2])).unwrap();
    fs::write(media(&server).join(&orphan[..2]).join(&orphan), b"orphan").unwrap();
    File::create(media(&server).join("notes")).unwrap();
    let (code, said) = verify(&server);
    assert_eq!(code, 3, "{said}");
    for line in [
        format!("damaged: {}", &path_of(&damaged)[7..]),
        format!("missing: {}", &path_of(&missing)[7..]),
        format!("of no record: {orphan}"),
        "of no record: data/media/notes".to_owned(),
    ] {
        assert!(said.lines().any(|known| known.ends_with(&line)), "{line}\n{said}");
    }
    assert!(!said.contains(&path_of(&whole)[7..]) && !said.contains(&path_of(&photo)[7..]), "{said}");
}

#[test]
fn curl_uploads_with_one_line() {
    let Some(curl) = crate::support::needs::program(&["curl"]) else { return crate::support::needs::skip("curl") };
    let server = Server::start();
    let file = server.directory.path().join("їжак.txt");
    fs::write(&file, "їжак").unwrap();
    let url = format!("http://{}{UPLOAD}", server.address);
    let form = format!("file=@{}", file.display());
    let output = Command::new(curl).args(["-sS", "-F", &form, "-F", "title=Їжак", &url]).output().unwrap();
    let item: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&item["title"], &item["media_metadata"]["name"]), (&json!("Їжак"), &json!("їжак.txt")));
}
