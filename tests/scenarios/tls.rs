//! Between the TCP connection and hello-ok: TLS over real sockets in real time, and everything that hangs or answers
//! wrongly over pipes in virtual time. Each case looks at what the operator is told.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::crypto::ring::sign::any_supported_type;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion, version};
use tracing_subscriber::fmt::MakeWriter;
use windlass::{Endpoint, Fingerprint, Header, LineStatus, TlsPolicy, Windlass, transport};
use windlass_testkit::{Generation, SimGateway};

use crate::bench::{Bench, Stopwatch, play, seed, sim, spec};

/// How long a step may take in real time before the test fails; each takes milliseconds.
const SOON: Duration = Duration::from_secs(30);

/// Keeps what is logged.
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// A TLS server on loopback in front of a simulated gateway.
struct TlsFront {
    address: SocketAddr,
    fingerprint: Fingerprint,
    accepting: AbortHandle,
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl TlsFront {
    async fn start(sim: &SimGateway, versions: &[&'static SupportedProtocolVersion]) -> Self {
        let certified = rcgen::generate_simple_self_signed(["gateway.test".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
        Self::start_with(sim, versions, certified.cert.der().clone(), &key).await
    }

    async fn start_with(
        sim: &SimGateway,
        versions: &[&'static SupportedProtocolVersion],
        certificate: CertificateDer<'static>,
        key: &PrivateKeyDer<'_>,
    ) -> Self {
        let fingerprint = Fingerprint::of(&certificate);
        // Given by a resolver, the certificate is not looked into.
        let key = any_supported_type(key).unwrap();
        let resolver = SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key));
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let accepting = tokio::task::spawn_local(accept(listener, acceptor, sim.clone())).abort_handle();
        Self {
            address,
            fingerprint,
            accepting,
        }
    }

    /// A line to this server, not up yet.
    async fn line(&self, sim: SimGateway, tls: TlsPolicy) -> Bench {
        dial(&format!("wss://{}", self.address), sim, tls).await
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, sim: SimGateway) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, sim) = (acceptor.clone(), sim.clone());
        tokio::task::spawn_local(async move { forward(stream, &acceptor, &sim).await });
    }
}

/// Ends with either side; that it may end badly is what some tests are about.
async fn forward(stream: TcpStream, acceptor: &TlsAcceptor, sim: &SimGateway) -> io::Result<()> {
    let mut encrypted = acceptor.accept(stream).await?;
    copy_bidirectional(&mut encrypted, &mut sim.dial().await?).await?;
    Ok(())
}

/// A line over real sockets to `url`.
async fn dial(url: &str, sim: SimGateway, tls: TlsPolicy) -> Bench {
    let windlass = Windlass::builder().seed(seed()).start_local().unwrap();
    let mut spec = spec("gw");
    spec.endpoint = Endpoint::parse(url).unwrap();
    spec.tls = tls;
    let gateway = windlass.add(spec).await.unwrap();
    Bench { windlass, gateway, sim }
}

/// The state in which the line gives up for now, and what the operator is told.
async fn refused(bench: &Bench) -> (&'static str, String) {
    let down = |status: &LineStatus| status.state.next_attempt_at().is_some();
    let status = tokio::time::timeout(SOON, bench.wait_state(down)).await.unwrap();
    let advice = status.last_error.unwrap().advice.to_string();
    (status.state.name(), advice)
}

#[tokio::test]
async fn a_pinned_certificate_is_believed_whoever_signed_it_and_whatever_name_it_has() {
    play(async {
        for versions in [[&version::TLS13], [&version::TLS12]] {
            let sim = sim(Generation::V4).start_pipe();
            let front = TlsFront::start(&sim, &versions).await;
            let bench = front.line(sim, TlsPolicy::Pinned(front.fingerprint)).await;
            bench.gateway.wait_until_up(SOON).await.unwrap();
            bench.gateway.call("health", ()).await.unwrap();
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_certificate_of_x509_version_1_is_good_enough_where_no_root_is_asked() {
    // For "old appliance", until 2126: openssl x509 -req -signkey, without extensions.
    const CERTIFICATE: &[u8] = include_bytes!("tls/x509-v1-certificate.der");
    const KEY: &[u8] = include_bytes!("tls/x509-v1-key.der");
    play(async {
        for version in [&version::TLS12, &version::TLS13] {
            for pinned in [true, false] {
                let sim = sim(Generation::V4).start_pipe();
                let key = PrivateKeyDer::try_from(KEY).unwrap();
                let front = TlsFront::start_with(&sim, &[version], CERTIFICATE.into(), &key).await;
                let tls = if pinned {
                    TlsPolicy::Pinned(front.fingerprint)
                } else {
                    TlsPolicy::Insecure
                };
                let bench = front.line(sim, tls).await;
                bench.gateway.wait_until_up(SOON).await.unwrap();
                bench.gateway.call("health", ()).await.unwrap();
                bench.finish().await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_certificate_of_another_is_no_proof_whatever_its_version() {
    const CERTIFICATE: &[u8] = include_bytes!("tls/x509-v1-certificate.der");
    play(async {
        for version in [&version::TLS12, &version::TLS13] {
            let sim = sim(Generation::V4).start_pipe();
            let own = rcgen::generate_simple_self_signed(["gateway.test".to_owned()]).unwrap();
            let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
            let front = TlsFront::start_with(&sim, &[version], CERTIFICATE.into(), &key).await;
            let bench = front.line(sim, TlsPolicy::Pinned(front.fingerprint)).await;
            let (state, told) = refused(&bench).await;
            assert!(state == "paused" && told.contains("TLS"), "{state}: {told}");
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test]
async fn another_certificate_than_the_pinned_one_pauses_the_line_and_shows_its_fingerprint() {
    play(async {
        let sim = sim(Generation::V4).start_pipe();
        let front = TlsFront::start(&sim, &[&version::TLS13]).await;
        let bench = front.line(sim, TlsPolicy::Pinned(Fingerprint::of(b"another"))).await;
        let (state, advice) = refused(&bench).await;
        assert_eq!(state, "paused");
        assert_eq!(
            advice,
            format!(
                "The gateway shows another certificate than the pinned one: {}. If the gateway's certificate was \
                 renewed, compare the fingerprint on its host and pin the new one; otherwise somebody may stand in between.",
                front.fingerprint
            )
        );
        assert_eq!(bench.sim.journal().connect_attempts(), 0, "nothing was sent to a stranger");
        bench.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_self_signed_certificate_without_a_pin_pauses_the_line() {
    play(async {
        let sim = sim(Generation::V4).start_pipe();
        let front = TlsFront::start(&sim, &[&version::TLS13]).await;
        let bench = front.line(sim, TlsPolicy::SystemRoots).await;
        let (state, advice) = refused(&bench).await;
        assert_eq!(state, "paused");
        // A machine without root certificates trusts no certificate, and the advice says so before one is seen.
        if !advice.contains("no readable root certificates") {
            assert!(
                advice.starts_with("The gateway's certificate is not trusted ("),
                "{advice}"
            );
            assert!(advice.contains(&front.fingerprint.to_string()), "{advice}");
        }
        assert_eq!(
            bench.sim.journal().connect_attempts(),
            0,
            "nothing was sent to a stranger"
        );
        bench.finish().await;
    })
    .await;
}

#[tokio::test]
async fn an_unchecked_certificate_has_to_be_asked_for_and_is_warned_of() {
    // The line lives on this thread, so that only its own log is looked at.
    let log = Arc::new(Mutex::new(Vec::new()));
    let subscriber = tracing_subscriber::fmt().with_writer(Log(Arc::clone(&log))).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    play(async {
        let sim = sim(Generation::V4).start_pipe();
        let front = TlsFront::start(&sim, &[&version::TLS13]).await;
        let bench = front.line(sim, TlsPolicy::Insecure).await;
        bench.gateway.wait_until_up(SOON).await.unwrap();
        let text = String::from_utf8(log.lock().unwrap().clone()).unwrap();
        let warning = text.lines().find(|line| line.contains("certificates are not checked"));
        assert!(warning.is_some_and(|line| line.contains("WARN")), "{text}");
        bench.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_gateway_without_tls_behind_a_wss_url_is_told_from_one_that_is_down() {
    play(async {
        let sim = sim(Generation::V4).start_tcp().await.unwrap();
        let bench = dial(&sim.url().replace("ws://", "wss://"), sim, TlsPolicy::SystemRoots).await;
        let (state, advice) = refused(&bench).await;
        assert!(["paused", "waiting"].contains(&state), "{state}");
        assert!(
            advice.contains("TLS handshake") && advice.contains("begins with ws://"),
            "{advice}"
        );
        bench.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_tls_server_behind_a_ws_url_does_not_pass_for_a_gateway() {
    play(async {
        let sim = sim(Generation::V4).start_pipe();
        let front = TlsFront::start(&sim, &[&version::TLS13]).await;
        let bench = dial(&format!("ws://{}", front.address), sim, TlsPolicy::SystemRoots).await;
        let (state, advice) = refused(&bench).await;
        assert!(["paused", "waiting"].contains(&state), "{state}");
        assert!(advice.contains("Check that the URL"), "{advice}");
        bench.finish().await;
    })
    .await;
}

/// A line over pipes to a server that this function plays on its end.
async fn over_pipes<F, Fut>(serve: F) -> Bench
where
    F: Fn(DuplexStream) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let connector = transport::dial_with(move |_| {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        tokio::task::spawn_local(serve(theirs));
        std::future::ready(Ok(ours))
    });
    let windlass = Windlass::builder()
        .connector(connector)
        .seed(seed())
        .start_local()
        .unwrap();
    let gateway = windlass.add(spec("gw")).await.unwrap();
    let sim = sim(Generation::V4).start_pipe();
    Bench { windlass, gateway, sim }
}

/// Reads an HTTP request or answer up to its body.
async fn read_head(stream: &mut DuplexStream) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    head
}

/// Reads an HTTP request, answers it, and waits for the client to go.
async fn answer_http(mut client: DuplexStream, answer: &'static str) {
    read_head(&mut client).await;
    client.write_all(answer.as_bytes()).await.unwrap();
    let _ = client.read(&mut [0]).await;
}

/// Lets a gateway upgrade the connection, keeps all that comes after that, and waits for the client to go.
async fn upgrade_only(mut client: DuplexStream, sim: SimGateway) {
    let mut gateway = sim.dial().await.unwrap();
    gateway.write_all(&read_head(&mut client).await).await.unwrap();
    client.write_all(&read_head(&mut gateway).await).await.unwrap();
    let _ = client.read(&mut [0]).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_connections_and_says_nothing_is_given_up_after_the_upgrades_limit() {
    play(async {
        let start = Stopwatch::start();
        let bench = over_pipes(|stream| async move {
            let _held = stream;
            std::future::pending::<()>().await;
        })
        .await;
        let (state, advice) = refused(&bench).await;
        assert_eq!((state, start.elapsed().as_secs()), ("waiting", 15));
        assert_eq!(
            advice,
            "The WebSocket upgrade took longer than 15 s. The gateway's process hangs, or the port belongs to something \
             else: look at it on its host."
        );
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_never_challenges_is_given_up_after_fifteen_seconds() {
    play(async {
        let sim = sim(Generation::V4).start_pipe();
        let start = Stopwatch::start();
        let bench = over_pipes(move |client| upgrade_only(client, sim.clone())).await;
        let (state, advice) = refused(&bench).await;
        assert_eq!((state, start.elapsed().as_secs()), ("waiting", 15));
        assert!(
            advice.starts_with("No connect.challenge came within 15 s of the upgrade. "),
            "{advice}"
        );
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_never_answers_connect_is_given_up_after_fifteen_seconds() {
    play(async {
        let sim = sim(Generation::V4).start_pipe();
        sim.script().once().never_answer("connect");
        let start = Stopwatch::start();
        let bench = Bench::new(sim).await;
        let (state, advice) = refused(&bench).await;
        assert_eq!((state, start.elapsed().as_secs()), ("waiting", 15));
        assert!(advice.starts_with("Connect was not answered within 15 s. "), "{advice}");
        bench.wait_up().await;
        bench.finish().await;
    })
    .await;
}

/// What a server answers to the upgrade, the state that the line goes to, and what the operator reads.
const ANSWERS: [(&str, &str, &str); 6] = [
    (
        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
        "paused",
        "There is no gateway at this URL (HTTP 404). Check host, port and path of the gateway URL.",
    ),
    (
        "HTTP/1.1 302 Found\r\nlocation: https://login.test/\r\ncontent-length: 0\r\n\r\n",
        "paused",
        "The URL leads elsewhere (HTTP 302); redirects are not followed, to keep the token here. Configure the address \
         that it leads to, with wss:// if that is encrypted.",
    ),
    (
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n",
        "waiting",
        "The gateway is starting or going down (HTTP 503). Nothing to do: the connection is tried again by itself.",
    ),
    (
        "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n",
        "paused",
        "The server refused the connection (HTTP 403). Check the access rules of the gateway's host and of any proxy \
         before it.",
    ),
    (
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
        "paused",
        "What answers at this URL is not a gateway (HTTP 200). Check scheme, host and port of the gateway URL.",
    ),
    (
        "SSH-2.0-OpenSSH_9.9\r\n",
        "paused",
        "What answers there does not speak WebSocket: ",
    ),
];

#[tokio::test(start_paused = true)]
async fn every_other_answer_than_an_upgrade_has_its_pause_and_its_advice() {
    play(async {
        for (answer, wanted, text) in ANSWERS {
            let bench = over_pipes(move |stream| answer_http(stream, answer)).await;
            let (state, advice) = refused(&bench).await;
            assert_eq!(state, wanted, "{answer}");
            assert!(advice.starts_with(text), "{answer}: {advice}");
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_does_not_trust_the_proxy_before_it_names_the_setting() {
    play(async {
        let forwarded = |spec: &mut windlass::GatewaySpec| {
            spec.headers
                .push(Header::new("x-forwarded-for", "203.0.113.9").unwrap());
        };
        let bench = Bench::with(sim(Generation::V4).start_pipe(), forwarded).await;
        let (state, advice) = refused(&bench).await;
        assert_eq!(state, "paused");
        assert!(advice.contains("gateway.trustedProxies"), "{advice}");
        bench.finish().await;
    })
    .await;
}
