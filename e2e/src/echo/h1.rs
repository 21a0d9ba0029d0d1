//! The echo over HTTP/1.1, read and written by hand.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, ReadHalf, WriteHalf,
};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::Connection;
use super::plan::Plan;
use super::received::{BodyDigest, Received};

type Reader = BufReader<ReadHalf<TlsStream<TcpStream>>>;
type Writer = WriteHalf<TlsStream<TcpStream>>;

/// More than any test sends in a head.
const HEAD_LIMIT: usize = 4 << 20;
/// Go's `rstAvoidanceDelay`.
const LINGER: Duration = Duration::from_millis(500);

pub(super) async fn serve(stream: TlsStream<TcpStream>, connection: Connection) -> Result<()> {
    let (reader, mut writer) = tokio::io::split(stream);
    let mut reader = BufReader::with_capacity(64 << 10, reader);
    let mut first = true;
    loop {
        let head = tokio::select! {
            head = read_head(&mut reader, &connection) => head?,
            () = connection.idle() => return Ok(()),
        };
        let Some(mut received) = head else { return Ok(()) };
        let plan = Plan::parse(&received.target);
        let mut body = RequestBody::of(&received)?;
        if received.header("expect").iter().any(|value| value.eq_ignore_ascii_case("100-continue")) {
            writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            writer.flush().await?;
        }
        let streams = plan.echo || plan.watch.is_some() || plan.early;
        if !streams {
            body.digest(&mut reader, &mut received).await?;
        }
        connection.state.note(connection.number, &received);
        if plan.stale && !first {
            return Ok(());
        }
        first = false;
        tokio::time::sleep(plan.delay).await;
        if let Some(first) = &plan.switch {
            return switch(&mut reader, &mut writer, first, &received).await;
        }
        answer(&mut reader, &mut writer, &plan, &mut body, &received).await?;
        if !body.is_done() {
            // What is left of the body is not a request. Closing with it unread would be a reset, which takes the
            // answer away from who has not read it yet: as Go's server does, we wait a moment.
            writer.shutdown().await?;
            let mut nowhere = tokio::io::sink();
            let _ = tokio::time::timeout(LINGER, tokio::io::copy(&mut reader, &mut nowhere)).await;
            return Ok(());
        }
    }
}

async fn read_head(reader: &mut Reader, connection: &Connection) -> Result<Option<Received>> {
    let mut head = 0;
    let Some(first) = read_line(reader, &mut head).await? else { return Ok(None) };
    let mut words = first.splitn(3, ' ');
    let mut received = Received {
        echo: connection.state.name.clone(),
        method: words.next().unwrap_or_default().to_owned(),
        target: words.next().unwrap_or_default().to_owned(),
        version: words.next().unwrap_or_default().to_owned(),
        client: connection.client.clone(),
        connection: connection.number,
        ..Received::default()
    };
    received.headers = read_fields(reader, &mut head).await?;
    received.authority = received.header("host").first().copied().unwrap_or_default().to_owned();
    Ok(Some(received))
}

/// Header or trailer lines up to the empty one.
async fn read_fields(reader: &mut Reader, head: &mut usize) -> Result<Vec<(String, String)>> {
    let mut fields = Vec::new();
    loop {
        let line = read_line(reader, head).await?.context("the head breaks off")?;
        if line.is_empty() {
            return Ok(fields);
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        fields.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
    }
}

async fn read_line(reader: &mut Reader, head: &mut usize) -> Result<Option<String>> {
    let mut line = Vec::new();
    *head += (&mut *reader).take(HEAD_LIMIT as u64).read_until(b'\n', &mut line).await?;
    ensure!(*head <= HEAD_LIMIT, "a head of over {HEAD_LIMIT} bytes");
    if line.is_empty() {
        return Ok(None);
    }
    while line.last().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
        line.pop();
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

/// Where in a request's body the reader is.
enum RequestBody {
    Length(u64),
    Chunked,
    Done,
}

impl RequestBody {
    fn of(received: &Received) -> Result<Self> {
        let lengths = received.header("content-length");
        let encodings = received.header("transfer-encoding");
        ensure!(lengths.is_empty() || encodings.is_empty(), "both Content-Length and Transfer-Encoding came");
        match (lengths.as_slice(), encodings.as_slice()) {
            ([], []) => Ok(Self::Done),
            ([length], []) => Ok(Self::Length(length.parse().context("Content-Length")?)),
            (_, [encoding]) if encoding.eq_ignore_ascii_case("chunked") => Ok(Self::Chunked),
            _ => bail!("a body of no known length: {lengths:?} {encodings:?}"),
        }
    }

    fn is_done(&self) -> bool {
        matches!(self, Self::Done | Self::Length(0))
    }

    /// The next piece; `None` at the end, with the trailers then in `received`.
    async fn next(
        &mut self,
        reader: &mut Reader,
        trailers: &mut Vec<(String, String)>,
    ) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Done | Self::Length(0) => Ok(None),
            Self::Length(left) => {
                let mut piece = vec![0; (*left).min(64 << 10) as usize];
                let read = reader.read(&mut piece).await?;
                ensure!(read > 0, "the body breaks off");
                piece.truncate(read);
                *left -= read as u64;
                Ok(Some(piece))
            }
            Self::Chunked => {
                let line = read_line(reader, &mut 0).await?.context("the body breaks off")?;
                let size = line.split(';').next().unwrap_or_default();
                let size =
                    usize::from_str_radix(size.trim(), 16).with_context(|| format!("chunk size {line:?}"))?;
                if size == 0 {
                    *trailers = read_fields(reader, &mut 0).await?;
                    *self = Self::Done;
                    return Ok(None);
                }
                ensure!(size <= 64 << 20, "a chunk of {size} bytes");
                let mut piece = vec![0; size];
                reader.read_exact(&mut piece).await?;
                let mut end = [0; 2];
                reader.read_exact(&mut end).await?;
                ensure!(&end == b"\r\n", "a chunk that is longer than it says");
                Ok(Some(piece))
            }
        }
    }

    async fn digest(&mut self, reader: &mut Reader, received: &mut Received) -> Result<()> {
        let mut digest = BodyDigest::default();
        let mut trailers = Vec::new();
        while let Some(piece) = self.next(reader, &mut trailers).await? {
            digest.add(&piece);
        }
        received.trailers = trailers;
        digest.put_into(received);
        Ok(())
    }
}

async fn answer(
    reader: &mut Reader,
    writer: &mut Writer,
    plan: &Plan,
    body: &mut RequestBody,
    received: &Received,
) -> Result<()> {
    for _ in 0..plan.hints {
        writer.write_all(b"HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n").await?;
        writer.flush().await?;
    }
    let json = serde_json::to_vec(received)?;
    let size = plan.size.unwrap_or(json.len() as u64);
    let chunked = !plan.length_known();
    let mut head = format!("HTTP/1.1 {} Echo\r\nX-Echo: {}\r\n", plan.code(), received.echo);
    if !matches!(plan.code(), 204 | 304) {
        head += "Content-Type: application/json\r\n";
        head += &if chunked {
            "Transfer-Encoding: chunked\r\n".to_owned()
        } else {
            format!("Content-Length: {size}\r\n")
        };
    }
    for (name, value) in &plan.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    for piece in head.as_bytes().chunks(if plan.drip.is_some() { 16 } else { head.len() }) {
        writer.write_all(piece).await?;
        writer.flush().await?;
        tokio::time::sleep(plan.drip.unwrap_or_default()).await;
    }
    if !plan.has_body(&received.method) {
        return Ok(());
    }
    let mut sink = Sink { writer, chunked, left: plan.cut };
    if plan.echo {
        while let Some(piece) = body.next(reader, &mut Vec::new()).await? {
            sink.send(&piece).await?;
        }
    } else if let Some(interval) = plan.watch {
        for number in 0..plan.events.unwrap_or(u64::MAX) {
            sink.send(&Plan::event(number)).await?;
            tokio::time::sleep(interval).await;
        }
    } else if let Some(size) = plan.size {
        for piece in Plan::pieces(size) {
            sink.send(&piece).await?;
        }
    } else {
        sink.send(&json).await?;
    }
    sink.finish(plan.trailers).await
}

/// Leaves HTTP: from here on what comes goes back.
async fn switch(reader: &mut Reader, writer: &mut Writer, first: &str, received: &Received) -> Result<()> {
    let protocols = received.header("upgrade").join(",");
    let protocol = protocols.split(',').next().unwrap_or_default().trim();
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\nX-Echo: {}\r\n\r\n{first}",
        received.echo
    );
    writer.write_all(head.as_bytes()).await?;
    writer.flush().await?;
    let mut piece = vec![0; 64 << 10];
    loop {
        match reader.read(&mut piece).await? {
            0 => break,
            read => {
                writer.write_all(&piece[..read]).await?;
                writer.flush().await?;
            }
        }
    }
    writer.write_all(b"(end)").await?;
    Ok(writer.shutdown().await?)
}

/// Where an answer's body goes.
struct Sink<'a> {
    writer: &'a mut Writer,
    chunked: bool,
    left: Option<u64>,
}

impl Sink<'_> {
    async fn send(&mut self, piece: &[u8]) -> Result<()> {
        let piece = &piece[..self.left.map_or(piece.len(), |left| piece.len().min(left as usize))];
        // An empty chunk would be the end.
        if !piece.is_empty() {
            if self.chunked {
                self.writer.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
            }
            self.writer.write_all(piece).await?;
            if self.chunked {
                self.writer.write_all(b"\r\n").await?;
            }
            self.writer.flush().await?;
        }
        if let Some(left) = &mut self.left {
            *left -= piece.len() as u64;
            ensure!(*left > 0, "cut off as planned");
        }
        Ok(())
    }

    async fn finish(&mut self, trailers: bool) -> Result<()> {
        if self.chunked {
            let trailer = if trailers { "x-echo-trailer: done\r\n" } else { "" };
            self.writer.write_all(format!("0\r\n{trailer}\r\n").as_bytes()).await?;
        }
        Ok(self.writer.flush().await?)
    }
}
