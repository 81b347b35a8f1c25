//! A page in a browser, driven through the protocol of its developer tools, which the page's policy does not concern.

use std::net::TcpStream;
use std::process::{Child, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::{Message, WebSocket};

use super::needs::Browser;
use super::{PATIENCE, wait_for};

/// One page of a browser that ends with it.
pub struct Page {
    browser: Child,
    tools: WebSocket<TcpStream>,
    /// The page's, once it is there; until then the browser is spoken to.
    session: Option<String>,
    asked: u64,
    /// What was written to the console, thrown, or refused by the policy.
    pub complaints: Vec<Value>,
    _profile: TempDir,
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.browser.kill();
        let _ = self.browser.wait();
    }
}

impl Page {
    pub fn open(browser: &Browser) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut command = browser.command(&profile);
        let browser = command.arg("about:blank").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Written as a port and a path, the last line without an end.
        let (port, path) = wait_for(|| {
            let text = std::fs::read_to_string(profile.path().join("DevToolsActivePort")).ok()?;
            let (port, path) = text.split_once('\n')?;
            (path.len() > 40).then(|| (port.to_owned(), path.to_owned()))
        });
        let address = format!("127.0.0.1:{port}");
        let stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (tools, _) = tungstenite::client(format!("ws://{address}{path}"), stream).unwrap();
        let mut page = Self { browser, tools, session: None, asked: 0, complaints: Vec::new(), _profile: profile };
        let target = page.command("Target.createTarget", json!({ "url": "about:blank" }));
        let attached =
            page.command("Target.attachToTarget", json!({ "targetId": target["targetId"], "flatten": true }));
        page.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            page.command(&format!("{domain}.enable"), json!({}));
        }
        page
    }

    pub fn command(&mut self, method: &str, parameters: Value) -> Value {
        self.try_command(method, parameters).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    fn try_command(&mut self, method: &str, parameters: Value) -> Result<Value, Value> {
        self.asked += 1;
        let mut command = json!({ "id": self.asked, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        self.tools.send(Message::text(command.to_string())).unwrap();
        loop {
            let Message::Text(text) = self.tools.read().unwrap() else { continue };
            let mut message: Value = serde_json::from_str(&text).unwrap();
            if message["id"] == self.asked {
                return match message.get_mut("error") {
                    Some(error) => Err(error.take()),
                    None => Ok(message["result"].take()),
                };
            }
            match message["method"].as_str() {
                Some("Runtime.exceptionThrown" | "Runtime.consoleAPICalled") => self.complaints.push(message),
                Some("Log.entryAdded") => self.complaints.push(message),
                _ => {}
            }
        }
    }

    /// The value of an expression in the page.
    pub fn value(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut result = self.command("Runtime.evaluate", parameters);
        assert!(result.get("exceptionDetails").is_none(), "{expression}: {result}");
        result["result"]["value"].take()
    }

    pub fn text_of(&mut self, selector: &str) -> String {
        let text = self.value(&format!("document.querySelector({selector:?}).innerText"));
        text.as_str().unwrap().to_owned()
    }

    /// Waits for it, also across pages: between two of them there is nothing to be asked.
    pub fn wait_until(&mut self, expression: &str) {
        let parameters = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        wait_for(|| {
            let result = self.try_command("Runtime.evaluate", parameters.clone()).ok()?;
            (result["result"]["value"] == true).then_some(())
        });
    }

    /// Goes there, and waits until all scripts have run.
    pub fn go_to(&mut self, address: &str) {
        self.command("Page.navigate", json!({ "url": address }));
        self.wait_until("document.readyState === 'complete'");
    }

    /// Has this run before anything else in each page to come, until it is forgotten by what is returned.
    pub fn prepare(&mut self, script: &str) -> Value {
        self.command("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script }))
    }

    pub fn forget(&mut self, prepared: Value) {
        self.command("Page.removeScriptToEvaluateOnNewDocument", prepared);
    }

    pub fn size(&mut self, width: u32, scheme: &str) {
        let size = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.command("Emulation.setDeviceMetricsOverride", size);
        let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.command("Emulation.setEmulatedMedia", scheme);
    }

    /// At every width and in both schemes nothing sticks out, and the colours follow.
    pub fn fits_every_width_and_scheme(&mut self) {
        let mut papers = Vec::new();
        for (width, scheme) in [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")] {
            self.size(width, scheme);
            let out = self.value("document.documentElement.scrollWidth - document.documentElement.clientWidth");
            assert_eq!(out, 0, "{width} {scheme}");
            papers.push(self.value("getComputedStyle(document.body).backgroundColor"));
        }
        assert!(papers[0] == papers[2] && papers[1] == papers[3] && papers[0] != papers[1], "{papers:?}");
    }

    pub fn tab(&mut self) {
        for kind in ["keyDown", "keyUp"] {
            let key = json!({ "type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9 });
            self.command("Input.dispatchKeyEvent", key);
        }
    }
}
