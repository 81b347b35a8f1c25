//! `tls`: what TLS costs, a request on a kept connection and a new connection each, against none, and against nginx in front.
//!
//! One client that waits for each answer: what counts is the time of the processors on the other side, all programs there together.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use inkring_testkit::http::head;
use rustls::client::Resumption;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::load::get;
use crate::options::{HEALTHY, Options, Result};
use crate::process::{self, Server};
use crate::table::{Table, median, none};

/// How long each kind of round takes.
const SECONDS: f64 = 1.0;
/// Who takes longer for one answer is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// A certificate that the tests have made, or its key.
fn file(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/keys/tls")).join(name)
}

fn path(name: &str) -> Result<String> {
    Ok(file(name).to_str().ok_or("a path that is not UTF-8")?.to_owned())
}

/// Somewhere to ask, and all that works for the answer.
struct Subject {
    name: &'static str,
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    servers: Vec<Server>,
    /// Of each round: microseconds of processors, and of waiting, for a request.
    kept: Vec<(f64, f64)>,
    fresh: Vec<(f64, f64)>,
}

/// A connection of the client.
enum Line {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Line {
    fn to(subject: &Subject) -> Result<Self> {
        let stream = TcpStream::connect(subject.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let Some(config) = &subject.tls else { return Ok(Self::Plain(stream)) };
        let connection = ClientConnection::new(Arc::clone(config), ServerName::try_from("localhost")?)?;
        Ok(Self::Tls(Box::new(StreamOwned::new(connection, stream))))
    }

    /// Asks, and holds the answer to the one that is right.
    fn ask(&mut self, request: &[u8]) -> Result<()> {
        let mut received = Vec::new();
        let mut chunk = [0; 4096];
        let stream: &mut dyn ReadWrite = match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.as_mut(),
        };
        stream.write_all(request)?;
        loop {
            let count = stream.read(&mut chunk)?;
            if count == 0 {
                return Err("the connection ended instead of an answer".into());
            }
            received.extend_from_slice(&chunk[..count]);
            let Some(head) = head(&received)? else { continue };
            let body = &received[head.end..];
            if body.len() == head.content_length.ok_or("an answer without a length")? {
                return if body == HEALTHY.as_bytes() { Ok(()) } else { Err("a wrong answer".into()) };
            }
        }
    }
}

trait ReadWrite: Read + Write {}

impl<S: Read + Write> ReadWrite for S {}

impl Subject {
    fn cpu_seconds(&self) -> f64 {
        self.servers.iter().map(Server::cpu_seconds).sum()
    }

    /// Microseconds of processors and of waiting for each of as many as there is time for.
    fn measure(&self, seconds: f64, mut each: impl FnMut() -> Result<()>) -> Result<(f64, f64)> {
        each()?;
        let (began, cpu) = (Instant::now(), self.cpu_seconds());
        let mut count = 0.0;
        while began.elapsed().as_secs_f64() < seconds {
            each()?;
            count += 1.0;
        }
        Ok(((self.cpu_seconds() - cpu) * 1e6 / count, began.elapsed().as_secs_f64() * 1e6 / count))
    }

    fn round(&mut self, seconds: f64) -> Result<()> {
        let request = get(self.address, "/healthz", "");
        let mut line = Line::to(self)?;
        let kept = self.measure(seconds, || line.ask(&request))?;
        let fresh = self.measure(seconds, || Line::to(self)?.ask(&request))?;
        self.kept.push(kept);
        self.fresh.push(fresh);
        Ok(())
    }
}

pub fn run(options: &Options) -> Result<u64> {
    let program = process::build_server()?;
    let cores = process::two_cores()?.filter(|_| !options.unpinned);
    let core = cores.map(|(server, _)| server);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("ca.pem"))?)?;
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let mut config = config.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth();
    // Every new connection is a stranger's, who does the whole handshake.
    config.resumption = Resumption::disabled();
    let config = Arc::new(config);
    let subject = |name, address, tls, servers| Subject { name, address, tls, servers, kept: vec![], fresh: vec![] };

    let plain = Server::inkring(&program, core)?;
    let (certificate, key) = (path("server.pem")?, path("server.key.pem")?);
    let settings = [("TLS_CERT_FILE", certificate.as_str()), ("TLS_KEY_FILE", key.as_str())];
    let tls = Server::inkring_with(&program, core, &settings)?;
    let mut subjects = vec![
        subject("inkring, plain", plain.address, None, vec![plain]),
        subject("inkring, TLS", tls.address, Some(Arc::clone(&config)), vec![tls]),
    ];
    let behind = Server::inkring(&program, core)?;
    let site = format!(
        "ssl; ssl_certificate {certificate}; ssl_certificate_key {key}; location / {{ proxy_pass http://inkring; \
         proxy_http_version 1.1; proxy_set_header Connection \"\"; }}"
    );
    let upstream = format!("access_log off; upstream inkring {{ server {}; keepalive 32; }}", behind.address);
    match Server::nginx_as(core, &upstream, &site)? {
        Some(nginx) => {
            subjects.push(subject("nginx with TLS in front", nginx.address, Some(config), vec![nginx, behind]))
        }
        None => println!("nginx is not installed: there is nothing to compare with"),
    }
    process::pin_the_load(cores, "servers and client share all cores")?;
    let rounds = options.rounds.unwrap_or(5);
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        for subject in &mut subjects {
            subject.round(options.seconds.unwrap_or(SECONDS))?;
        }
    }
    let mut table = Table::new(&[
        "medians, GET /healthz",
        "kept: CPU µs",
        "wait µs",
        "over plain",
        "new connection: CPU µs",
        "wait µs",
        "over plain",
    ]);
    let of = |rounds: &[(f64, f64)]| {
        (median(rounds.iter().map(|round| round.0)), median(rounds.iter().map(|round| round.1)))
    };
    let (plain_kept, plain_fresh) = (of(&subjects[0].kept).0, of(&subjects[0].fresh).0);
    for (number, subject) in subjects.iter().enumerate() {
        let (kept, fresh) = (of(&subject.kept), of(&subject.fresh));
        let over = |this: f64, plain: f64| if number == 0 { none() } else { format!("+{:.1}", this - plain) };
        table.row([
            subject.name.to_owned(),
            format!("{:.1}", kept.0),
            format!("{:.1}", kept.1),
            over(kept.0, plain_kept),
            format!("{:.1}", fresh.0),
            format!("{:.1}", fresh.1),
            over(fresh.0, plain_fresh),
        ]);
    }
    table.print();
    println!("CPU is that of the server, and of nginx where it stands in front. P-256, TLS 1.3, no resumption.");
    Ok(0)
}
