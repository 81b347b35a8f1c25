//! TLS on the wire: what stands in front of a server that speaks none, and what a client needs for one that does.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    SupportedProtocolVersion,
};

/// A file of `tests/keys/tls`.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys/tls").join(name)
}

/// The authority that has signed all certificates there.
pub fn authority() -> String {
    file("ca.pem").to_str().unwrap().to_owned()
}

fn certificates(path: &Path) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(path).unwrap().map(Result::unwrap).collect()
}

/// A server that shows the certificate of this name.
fn server(name: &str) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::from_pem_file(file(&format!("{name}.key.pem"))).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    Arc::new(builder.with_single_cert(certificates(&file(&format!("{name}.pem"))), key).unwrap())
}

/// The certificate of this name as it goes over the wire.
pub fn certificate(name: &str) -> Vec<u8> {
    certificates(&file(&format!("{name}.pem"))).remove(0).to_vec()
}

/// A client's end of a connection.
pub type Encrypted = StreamOwned<ClientConnection, TcpStream>;

/// Shakes hands with a server.
pub fn connect(address: SocketAddr) -> Encrypted {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    over(client(), stream)
}

/// The same in this way, over a connection that is there.
pub fn over(config: ClientConfig, mut stream: TcpStream) -> Encrypted {
    let name = ServerName::try_from("localhost").unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).unwrap();
    }
    StreamOwned::new(connection, stream)
}

/// A client that believes the authority.
pub fn client() -> ClientConfig {
    speaking(&[&TLS13, &TLS12])
}

/// The same that speaks these versions.
pub fn speaking(versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificates(&file("ca.pem")).remove(0)).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    builder.with_protocol_versions(versions).unwrap().with_root_certificates(roots).with_no_client_auth()
}

/// Takes TLS with the certificate of this name, and passes on what is inside, in both directions: a proxy. It ends with the test
/// program.
pub fn front(backend: SocketAddr, name: &str) -> SocketAddr {
    let config = server(name);
    each(move |outside| {
        let inside = TcpStream::connect(backend)?;
        pass(ServerConnection::new(Arc::clone(&config)).unwrap().into(), outside, inside)
    })
}

/// The other way round: speaks TLS with a server for those who do not.
pub fn tunnel(server: SocketAddr) -> SocketAddr {
    let config = Arc::new(client());
    each(move |inside| {
        let outside = TcpStream::connect(server)?;
        let name = ServerName::try_from("localhost").unwrap();
        pass(ClientConnection::new(Arc::clone(&config), name).unwrap().into(), outside, inside)
    })
}

/// Does this with each connection, on a thread of its own.
fn each(serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, serve) = (listener.local_addr().unwrap(), Arc::new(serve));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            // Either end may leave whenever it likes.
            thread::spawn(move || drop(serve(stream)));
        }
    });
    address
}

/// Passes on what comes from either side until that side has ended.
fn pass(mut connection: Connection, mut outside: TcpStream, mut inside: TcpStream) -> io::Result<()> {
    while connection.is_handshaking() {
        connection.complete_io(&mut outside)?;
    }
    send(&mut connection, &mut outside)?;
    let shared = Arc::new(Mutex::new(connection));
    let (ours, mut from, mut to) = (Arc::clone(&shared), inside.try_clone()?, outside.try_clone()?);
    thread::spawn(move || -> io::Result<()> {
        let mut chunk = [0; 16 * 1024];
        loop {
            let count = from.read(&mut chunk).unwrap_or(0);
            let mut connection = ours.lock().unwrap();
            if count == 0 {
                connection.send_close_notify();
                send(&mut connection, &mut to)?;
                return to.shutdown(Shutdown::Write);
            }
            connection.writer().write_all(&chunk[..count])?;
            send(&mut connection, &mut to)?;
        }
    });
    let mut chunk = [0; 16 * 1024];
    let mut came = &chunk[..0];
    loop {
        // Something may have come with the end of the handshake.
        let mut connection = shared.lock().unwrap();
        let state = connection.process_new_packets().map_err(io::Error::other)?;
        let mut plain = vec![0; state.plaintext_bytes_to_read()];
        connection.reader().read_exact(&mut plain)?;
        send(&mut connection, &mut outside)?;
        drop(connection);
        inside.write_all(&plain)?;
        if came.is_empty() {
            let count = outside.read(&mut chunk).unwrap_or(0);
            if count == 0 {
                return inside.shutdown(Shutdown::Write);
            }
            came = &chunk[..count];
        }
        shared.lock().unwrap().read_tls(&mut came)?;
    }
}

fn send(connection: &mut Connection, to: &mut TcpStream) -> io::Result<()> {
    while connection.wants_write() {
        connection.write_tls(to)?;
    }
    Ok(())
}
