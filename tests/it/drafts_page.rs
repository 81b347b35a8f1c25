//! The page of drafts on the private plane: what it asks for, who is refused, what is recorded, and how it is in a browser.

use inkring::net::Endpoint;
use serde_json::{Value, json};

use crate::ops::Operated;
use crate::support::browser::Page;
use crate::support::needs::browser;
use crate::support::{Answer, Server};

const TOKEN: &str = "a-token-of-many-bytes";
const HOSTILE: &str = "<img src=x onerror=document.title=1>";

fn append(server: &Server, draft: &str, user: &str, content: &str) {
    let path = format!("/v1/collab/drafts/{draft}/segments");
    server.post_as(user, &path, &json!({ "content": content, "idempotency_key": content })).expect(200);
}

/// A draft of alice's with two segments, whose ring bob has, and to which carol is invited.
fn tale(server: &Server, title: &str) -> String {
    let made = server.post_as("alice", "/v1/collab/drafts", &json!({ "title": title, "platform": "x" })).expect(200);
    let draft = made["data"]["draft_id"].as_str().unwrap().to_owned();
    let path = format!("/v1/collab/drafts/{draft}");
    append(server, &draft, "alice", "what has to go");
    server
        .post_as("alice", &format!("{path}/invites"), &json!({ "target_user_id": "carol", "idempotency_key": "i" }))
        .expect(200);
    let add = format!("{path}/collaborators?collaborator_id=bob");
    server.connect().request("POST", &add, &[("X-User-Id", "alice")], b"").expect(200);
    server
        .post_as("alice", &format!("{path}/pass-ring"), &json!({ "to_user_id": "bob", "idempotency_key": "p" }))
        .expect(200);
    append(server, &draft, "bob", "what stays");
    draft
}

#[test]
fn what_the_page_asks_for_is_answered_to_who_has_the_token_and_recorded() {
    let operated = Operated::with(&[("AUDIT_ENABLED", "true"), ("OPS_TOKEN", TOKEN)]);
    let draft = tale(&operated.server, "A tale");
    let bearer = format!("Bearer {TOKEN}");
    let ask = |method: &str, target: &str, headers: &[(&str, &str)], body: &Value| -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        operated.ask(method, target, "localhost", headers, body.as_bytes())
    };
    let of = |rest: &str| format!("/drafts/{draft}{rest}");
    let shown = ask("GET", &of(""), &[("Authorization", &bearer)], &Value::Null).expect(200);
    let segment = shown["segments"][0]["segment_id"].as_str().unwrap().to_owned();
    let redact = json!({ "segment_id": segment, "reason": "somebody asked" });
    let all = [
        ("GET", "/dashboard/drafts".to_owned(), Value::Null),
        ("GET", "/drafts".to_owned(), Value::Null),
        ("GET", of(""), Value::Null),
        ("GET", of("/verify"), Value::Null),
        ("POST", of("/redact"), redact),
        ("POST", of("/release-ring"), Value::Null),
        ("POST", of("/remove-member"), json!({ "user": "bob" })),
        ("DELETE", of(""), Value::Null),
    ];
    // Nobody without the token, no page of another site, and none who wants another process.
    for (method, target, body) in &all {
        ask(method, target, &[], body).expect_error(401);
        ask(method, target, &[("Authorization", "Bearer another token of bytes")], body).expect_error(401);
        for (name, value) in
            [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-site"), ("Origin", "http://example.org")]
        {
            ask(method, target, &[("Authorization", &bearer), (name, value)], body).expect_error(403);
        }
        if target.starts_with("/drafts") {
            ask(method, target, &[("Authorization", &bearer), ("X-Inkring-Process", "1")], body).expect_error(412);
        }
    }
    assert_eq!(operated.server.get("/dashboard/drafts").status, 404, "the public port has none of it");
    let own = [("Authorization", bearer.as_str()), ("Origin", "http://localhost"), ("Sec-Fetch-Site", "same-origin")];
    let now = ask("GET", &of(""), &own, &Value::Null).expect(200);
    assert_eq!(now, shown, "who was refused has changed nothing");
    assert_eq!((&now["draft"]["holder_id"], &now["draft"]["lease_seconds"]), (&json!("bob"), &Value::Null));
    let invite = &now["invites"][0];
    assert_eq!((&invite["target_user_id"], &invite["status"]), (&json!("carol"), &json!("pending")));
    assert!(!now.to_string().contains("share_url"), "its link is nobody's");

    let nowhere = |rest: &str| format!("/drafts/nowhere{rest}");
    for (method, target, body, status) in [
        ("GET", nowhere(""), Value::Null, 404),
        ("GET", nowhere("/verify"), Value::Null, 404),
        ("POST", nowhere("/release-ring"), Value::Null, 404),
        ("POST", of("/remove-member"), json!({ "user": "alice" }), 409),
        ("POST", of("/remove-member"), json!({ "user": "nobody" }), 404),
        ("POST", of("/remove-member"), json!({}), 422),
        ("POST", of("/redact"), json!({ "segment_id": "nowhere", "reason": "r" }), 404),
        ("POST", of("/redact"), json!({ "segment_id": segment, "reason": "" }), 422),
        ("POST", of("/redact"), json!({ "segment_id": segment, "reason": "x".repeat(501) }), 422),
        ("GET", of("?limit=501"), Value::Null, 422),
    ] {
        ask(method, &target, &own, &body).expect_error(status);
    }
    let page = ask("GET", &all[0].1, &own, &Value::Null);
    let policy = page.header("content-security-policy").unwrap();
    assert!(page.text().starts_with("<!doctype html>") && policy.starts_with("default-src 'none'; "), "{policy}");

    let answers: Vec<Value> =
        all[3..].iter().map(|(method, target, body)| ask(method, target, &own, body).expect(200)).collect();
    let verified = (&answers[0]["holds"], &answers[0]["segments"], &answers[0]["fault"]);
    assert_eq!(verified, (&json!(true), &json!(2), &Value::Null));
    assert_eq!((&answers[1]["redacted"], &answers[2]["released"]), (&json!(true), &json!(true)));
    assert_eq!((&answers[3]["user_id"], &answers[4]["deleted"]), (&json!("bob"), &json!(true)));
    ask("GET", &of(""), &own, &Value::Null).expect_error(410);
    ask("DELETE", &of(""), &own, &Value::Null).expect_error(410);

    let rows = ask("GET", "/audit?user=operator", &own, &Value::Null).expect(200);
    let rows: Vec<_> = rows["rows"].as_array().unwrap().iter().rev().collect();
    let actions: Vec<_> = rows.iter().map(|row| row["action"].as_str().unwrap()).collect();
    let expected =
        ["collab.redact_segment", "collab.reclaim_ring", "collab.remove_collaborator", "collab.delete_draft"];
    assert_eq!(actions, expected, "each once, and nothing of what was refused");
    for row in &rows {
        assert_eq!(
            (&row["draft_id"], &row["ip"], &row["metadata"]["by"]),
            (&json!(draft), &json!("127.0.0.1"), &json!("operator"))
        );
    }
    assert_eq!(rows[0]["metadata"]["reason"], "somebody asked");
}

#[test]
fn a_redacted_segment_is_told_from_one_that_says_so() {
    let operated = Operated::with(&[]);
    let draft = tale(&operated.server, "A tale");
    append(&operated.server, &draft, "bob", "[redacted]");
    let target = format!("/drafts/{draft}");
    let segment = operated.get(&target).expect(200)["segments"][0]["segment_id"].clone();
    let body = json!({ "segment_id": segment, "reason": "r" }).to_string();
    operated.ask("POST", &format!("{target}/redact"), "localhost", &[], body.as_bytes()).expect(200);
    let shown = operated.get(&target).expect(200);
    let told: Vec<_> =
        shown["segments"].as_array().unwrap().iter().map(|one| (&one["content"], &one["redacted"])).collect();
    let (gone, stays) = (json!("[redacted]"), json!("what stays"));
    assert_eq!(told, [(&gone, &json!(true)), (&stays, &json!(false)), (&gone, &json!(false))]);
}

/// What is asked before something is done, and that it is meant.
fn confirm(page: &mut Page, button: &str, asked: &[&str], reason: Option<&str>) {
    page.value(&format!("document.querySelector({button:?}).click()"));
    page.wait_until("document.getElementById('confirm').open");
    let question = page.text_of("#question");
    for part in asked {
        assert!(question.contains(part), "{part}: {question}");
    }
    if let Some(reason) = reason {
        assert_eq!(page.value("document.activeElement.id"), "reason");
        page.value("document.getElementById('yes').click()");
        assert_eq!(page.value("document.getElementById('confirm').open"), true, "it needs a reason");
        page.value(&format!("document.getElementById('reason').value = {reason:?}"));
    } else {
        assert_eq!(page.value("document.activeElement.id"), "no", "who presses Enter at once changes nothing");
    }
    page.value("document.getElementById('yes').click()");
}

fn wait_for_text(page: &mut Page, id: &str, text: &str) {
    page.wait_until(&format!("document.getElementById({id:?}).innerText.includes({text:?})"));
}

#[test]
fn an_operator_looks_after_drafts_in_a_browser() {
    let Some(browser) = browser() else { return };
    let mut operated = Operated::with(&[("AUDIT_ENABLED", "true")]);
    let Endpoint::Tcp(plane) = operated.plane else { panic!("not on TCP") };
    let mut page = Page::open(&browser);
    page.size(1280, "light");
    page.go_to(&format!("http://{plane}/"));
    page.wait_until("document.querySelector('#pages a[href=\"/dashboard/drafts\"]') !== null");
    page.value("document.querySelector('#pages a').click()");
    page.wait_until("document.getElementById('search-said')?.innerText === 'There are no drafts yet.'");

    let (server, draft) = (&operated.server, tale(&operated.server, HOSTILE));
    for number in 0..60 {
        append(server, &draft, "bob", &format!("part {number}"));
    }
    tale(server, "Another");
    page.value("document.querySelector('#search [type=submit]').click()");
    wait_for_text(&mut page, "search-said", "2 drafts");
    page.value("document.getElementById('s-title').value = 'IMG'; document.getElementById('search').requestSubmit()");
    wait_for_text(&mut page, "search-said", "1 draft.");
    page.value("document.querySelector('#found button').click()");
    page.wait_until("!document.getElementById('draft').hidden && document.activeElement.id === 'title'");
    assert_eq!(page.value("decodeURIComponent(location.hash)"), format!("#{draft}"));
    assert_eq!(page.text_of("#title"), HOSTILE);
    let invites = page.text_of("#invites");
    assert!(invites.contains("carol") && invites.contains("pending"), "{invites}");
    assert_eq!(page.text_of("#segments-said"), "50 of 62 segments are shown.");
    page.value("document.getElementById('more-segments').click()");
    wait_for_text(&mut page, "segments-said", "62 of 62");
    page.fits_every_width_and_scheme();

    // The keyboard reaches every control of it, and it can be seen where it is.
    page.value("document.getElementById('title').focus()");
    for control in
        ["Release the ring", "Verify the chain", "Refresh", "Delete the draft", "Remove: bob", "Redact: segment 0"]
    {
        page.tab();
        let at = "(() => { const at = document.activeElement; return [at.getAttribute('aria-label') || at.innerText, getComputedStyle(at).outlineStyle]; })()";
        assert_eq!(page.value(at), json!([control, "solid"]));
    }

    // To leave it as it is changes nothing, by the button or by Escape.
    page.value("document.querySelector('#members button').click(); document.getElementById('no').click()");
    page.value("document.querySelector('#members button').click(); document.getElementById('confirm').close()");
    confirm(&mut page, "#segments button", &["segment 0 by alice", "permanently"], Some("somebody asked"));
    wait_for_text(&mut page, "done", "The text of segment 0 is redacted.");
    assert!(page.text_of("#segments tbody tr").contains("[redacted]") && page.text_of("#members").contains("bob"));
    page.value("document.querySelector('#actions button:nth-of-type(2)').click()");
    wait_for_text(&mut page, "done", "The chain is intact: 62 segments, 1 redacted");
    confirm(&mut page, "#actions button", &["from bob to alice"], None);
    wait_for_text(&mut page, "done", "The ring is with alice.");
    confirm(&mut page, "#members button", &["bob is removed from", "Their texts stay"], None);
    wait_for_text(&mut page, "done", "bob is removed.");
    assert!(!page.text_of("#members").contains("bob"));

    // Pages of two versions are not put together.
    append(&operated.server, &draft, "alice", "meanwhile");
    page.value("document.getElementById('more-segments').click()");
    wait_for_text(&mut page, "done", "The draft has changed meanwhile");
    confirm(
        &mut page,
        "#actions button.bad",
        &[HOSTILE, "63 segments of 1 member", "Only a backup can bring it back"],
        None,
    );
    wait_for_text(&mut page, "search-said", "is deleted.");
    assert_eq!(page.value("document.getElementById('draft').hidden && location.hash === ''"), true);
    assert_eq!(page.value("document.images.length"), 0, "what others wrote is text");
    let rows = operated.get("/audit?user=operator").expect(200);
    assert_eq!(rows["rows"].as_array().unwrap().len(), 4, "{rows}");
    // The browser itself complains of a 410, now or later, so what the page has to answer for comes first.
    assert_eq!(page.complaints, [Value::Null; 0]);

    // What is wrong is said, and what to do about it.
    page.value(&format!(
        "document.getElementById('s-id').value = '{draft}'; document.getElementById('open').requestSubmit()"
    ));
    wait_for_text(&mut page, "search-said", "was deleted. Only a backup can bring it back.");
    operated.server.kill();
    page.value("document.getElementById('search').requestSubmit()");
    wait_for_text(
        &mut page,
        "search-said",
        "The server does not respond. Make sure that it is running, and try again.",
    );
}
