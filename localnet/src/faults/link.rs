//! The validators' peer-to-peer connections, each through a forwarder that can be cut.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use anyhow::{Context, ensure};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// Forwarders between pairs of processes.
#[derive(Debug, Default)]
pub struct Links {
    links: BTreeMap<(String, String), Link>,
}

#[derive(Debug)]
struct Link {
    cut: watch::Sender<bool>,
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
        let (cut, is_cut) = watch::channel(false);
        let task = tokio::spawn(accept(
            tcp,
            SocketAddr::from(([127, 0, 0, 1], target)),
            is_cut,
        ));
        self.links
            .insert((from.to_owned(), to.to_owned()), Link { cut, task });
        Ok(port)
    }

    /// Cuts every link between a member of `side` and anyone else; restores all others. An empty side restores everything.
    ///
    /// Errors: a name that no link has.
    pub fn partition(&self, side: &BTreeSet<String>) -> anyhow::Result<()> {
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
            link.cut
                .send_replace(side.contains(from) != side.contains(to));
        }
        Ok(())
    }

    /// The links that are cut.
    pub fn cut(&self) -> Vec<(String, String)> {
        self.links
            .iter()
            .filter(|(_, link)| *link.cut.borrow())
            .map(|(ends, _)| ends.clone())
            .collect()
    }
}

async fn accept(tcp: TcpListener, target: SocketAddr, is_cut: watch::Receiver<bool>) {
    loop {
        match tcp.accept().await {
            // A cut link closes what connects to it.
            Ok((stream, _)) if !*is_cut.borrow() => {
                tokio::spawn(carry(stream, target, is_cut.clone()));
            }
            Ok(_) => {}
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Carries bytes both ways until one end closes or the link is cut; then both ends see a closed connection.
async fn carry(mut near: TcpStream, target: SocketAddr, mut is_cut: watch::Receiver<bool>) {
    let Ok(mut far) = TcpStream::connect(target).await else {
        return;
    };
    // Small consensus messages must not wait for each other.
    if near.set_nodelay(true).and(far.set_nodelay(true)).is_err() {
        return;
    }
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        _ = is_cut.wait_for(|cut| *cut) => {}
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

        links.partition(&BTreeSet::from(["a".to_owned()])).unwrap();
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

        links.partition(&BTreeSet::new()).unwrap();
        assert_eq!(ask(&mut connect("a", "b").await.unwrap()).await.unwrap(), 2);
        assert!(links.partition(&BTreeSet::from(["z".to_owned()])).is_err());
    }
}
