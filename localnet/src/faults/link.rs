//! The validators' peer-to-peer connections, each through a forwarder that can be cut.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use anyhow::{Context, ensure};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// Forwarders between pairs of processes.
#[derive(Debug, Default)]
pub struct Links {
    links: BTreeMap<(String, String), Link>,
}

/// How a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// It carries.
    Open,
    /// Both ends see a closed connection, and none can be made.
    Cut,
    /// Both ends see an open connection on which nothing comes. What was sent arrives when it carries again.
    Silent,
}

#[derive(Debug)]
struct Link {
    state: watch::Sender<LinkState>,
    task: JoinHandle<()>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Links {
    /// Opens the forwarder through which `from` reaches `to`: whatever connects to `port` (0 takes a free one) is connected to the
    /// loopback port `target`. Returns the port. Errors: the port is taken.
    pub async fn open(
        &mut self,
        from: &str,
        to: &str,
        port: u16,
        target: u16,
    ) -> anyhow::Result<u16> {
        let tcp = TcpListener::bind(("127.0.0.1", port))
            .await
            .with_context(|| {
                format!("the link from {from} to {to} cannot listen on 127.0.0.1:{port}")
            })?;
        let port = tcp.local_addr()?.port();
        let (state, seen) = watch::channel(LinkState::Open);
        let task = tokio::spawn(accept(
            tcp,
            SocketAddr::from(([127, 0, 0, 1], target)),
            seen,
        ));
        self.links
            .insert((from.to_owned(), to.to_owned()), Link { state, task });
        Ok(port)
    }

    /// Cuts or silences every link between a member of `side` and anyone else; restores all others. An empty side restores everything.
    ///
    /// Errors: a name that no link has.
    pub fn partition(&self, side: &BTreeSet<String>, how: LinkState) -> anyhow::Result<()> {
        let known: BTreeSet<&String> = self
            .links
            .keys()
            .flat_map(|(from, to)| [from, to])
            .collect();
        for name in side {
            ensure!(
                known.contains(name),
                "no link has an end called {name}; there are: {known:?}"
            );
        }
        for ((from, to), link) in &self.links {
            let crosses = side.contains(from) != side.contains(to);
            link.state
                .send_replace(if crosses { how } else { LinkState::Open });
        }
        Ok(())
    }

    /// The links that do not carry.
    pub fn cut(&self) -> Vec<(String, String)> {
        self.links
            .iter()
            .filter(|(_, link)| *link.state.borrow() != LinkState::Open)
            .map(|(ends, _)| ends.clone())
            .collect()
    }
}

async fn accept(tcp: TcpListener, target: SocketAddr, state: watch::Receiver<LinkState>) {
    loop {
        match tcp.accept().await {
            // A cut link closes what connects to it.
            Ok((stream, _)) if *state.borrow() != LinkState::Cut => {
                tokio::spawn(carry(stream, target, state.clone()));
            }
            Ok(_) => {}
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Carries bytes both ways until one end closes or the link is cut; then both ends see a closed connection.
async fn carry(mut near: TcpStream, target: SocketAddr, mut state: watch::Receiver<LinkState>) {
    let Ok(mut far) = TcpStream::connect(target).await else {
        return;
    };
    // Small consensus messages must not wait for each other.
    if near.set_nodelay(true).and(far.set_nodelay(true)).is_err() {
        return;
    }
    let (mut from_near, mut to_near) = near.split();
    let (mut from_far, mut to_far) = far.split();
    tokio::select! {
        _ = pump(&mut from_near, &mut to_far, state.clone()) => {}
        _ = pump(&mut from_far, &mut to_near, state.clone()) => {}
        _ = state.wait_for(|state| *state == LinkState::Cut) => {}
    }
}

/// Carries one way until the source ends. While the link is silent, what comes waits.
async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut state: watch::Receiver<LinkState>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = from.read(&mut buffer).await?;
        let is_gone = state
            .wait_for(|state| *state != LinkState::Silent)
            .await
            .is_err();
        if read == 0 || is_gone {
            return Ok(());
        }
        to.write_all(buffer.get(..read).unwrap_or_default()).await?;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Answers every byte with the next one.
    async fn peer() -> u16 {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = tcp.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = tcp.accept().await.unwrap();
                tokio::spawn(async move {
                    while let Ok(byte) = stream.read_u8().await {
                        stream.write_u8(byte + 1).await.unwrap();
                    }
                });
            }
        });
        port
    }

    async fn ask(stream: &mut TcpStream) -> std::io::Result<u8> {
        stream.write_u8(1).await?;
        stream.read_u8().await
    }

    #[tokio::test]
    async fn a_partition_closes_what_crosses_it_and_nothing_else() {
        let target = peer().await;
        let mut links = Links::default();
        let mut ports = BTreeMap::new();
        for (from, to) in [("a", "b"), ("a", "c"), ("b", "c")] {
            ports.insert((from, to), links.open(from, to, 0, target).await.unwrap());
        }
        let connect = |from, to| TcpStream::connect(("127.0.0.1", ports[&(from, to)]));
        let (mut crossing, mut inside) = (
            connect("a", "c").await.unwrap(),
            connect("b", "c").await.unwrap(),
        );
        assert_eq!(ask(&mut crossing).await.unwrap(), 2);

        let side = BTreeSet::from(["a".to_owned()]);
        links.partition(&side, LinkState::Cut).unwrap();
        assert_eq!(
            links.cut(),
            [
                ("a".to_owned(), "b".to_owned()),
                ("a".to_owned(), "c".to_owned())
            ]
        );
        assert!(ask(&mut crossing).await.is_err());
        assert!(ask(&mut connect("a", "b").await.unwrap()).await.is_err());
        assert_eq!(ask(&mut inside).await.unwrap(), 2);

        let nobody = BTreeSet::new();
        links.partition(&nobody, LinkState::Cut).unwrap();
        let mut crossing = connect("a", "b").await.unwrap();
        assert_eq!(ask(&mut crossing).await.unwrap(), 2);

        links.partition(&side, LinkState::Silent).unwrap();
        assert_eq!(links.cut().len(), 2);
        let quiet = Duration::from_millis(300);
        let nothing = tokio::time::timeout(quiet, ask(&mut crossing)).await;
        assert!(nothing.is_err(), "{nothing:?}");
        assert_eq!(ask(&mut inside).await.unwrap(), 2);
        links.partition(&nobody, LinkState::Silent).unwrap();
        // What was sent into the silence was kept.
        assert_eq!(crossing.read_u8().await.unwrap(), 2);
        assert_eq!(ask(&mut crossing).await.unwrap(), 2);

        let unknown = BTreeSet::from(["z".to_owned()]);
        let refused = links.partition(&unknown, LinkState::Cut).unwrap_err();
        assert!(
            refused
                .to_string()
                .starts_with("no link has an end called z")
        );
    }
}
