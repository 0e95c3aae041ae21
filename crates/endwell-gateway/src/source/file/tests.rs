use std::fs::{self, File};
use std::io;

use endwell::Kind;
use http_body_util::BodyExt;

use super::super::testing::{old_file, set_back};
use super::unsettled::APPEND;
use super::*;

const SIZE: usize = 1024 * 1024 + 7;

fn octets(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at % 251) as u8).collect()
}

/// A folder with a file that was last written long ago.
fn folder(size: usize) -> io::Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    old_file(&folder.path().join("file"), octets(size))?;
    Ok(folder)
}

fn open(folder: &tempfile::TempDir, growing: Growing) -> io::Result<Opened> {
    let place = Place::find(folder.path(), Path::new("file")).map_err(io::Error::other)?;
    Opened::open(&place, growing, Disk::Any).map_err(io::Error::other)
}

type Collected = (Vec<u8>, Option<Cause>);

/// Drains a body; `change` runs when its first frame was taken.
async fn drain(mut body: Body, change: impl FnOnce() -> io::Result<()>) -> io::Result<Collected> {
    let mut change = Some(change);
    let mut collected = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => collected.extend_from_slice(frame.data_ref().expect("data")),
            Err(broken) => return Ok((collected, broken.ending().cause().cloned())),
        }
        if let Some(change) = change.take() {
            change()?;
        }
    }
    Ok((collected, None))
}

async fn drain_while(
    growing: Growing,
    change: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<Collected> {
    let folder = folder(SIZE)?;
    let body = open(&folder, growing)?
        .body(0..SIZE as u64)
        .map_err(io::Error::other)?;
    drain(body, || change(&folder.path().join("file"))).await
}

fn message(collected: &Collected) -> String {
    let cause = collected.1.as_ref().expect("a cause");
    assert_eq!(cause.kind, Kind::SourceChanged);
    assert!(octets(SIZE).starts_with(&collected.0));
    let name = cause.message.rsplit_once('/').expect("a path").1;
    name.to_owned()
}

#[tokio::test]
async fn every_range_is_whole() -> io::Result<()> {
    let whole = octets(SIZE);
    let folder = folder(SIZE)?;
    let end = SIZE as u64;
    for range in [
        0..0,
        0..1,
        0..32_768,
        0..32_769,
        5..end,
        end - 1..end,
        0..end,
    ] {
        let body = open(&folder, Growing::Fail)?
            .body(range.clone())
            .map_err(io::Error::other)?;
        let (collected, cause) = drain(body, || Ok(())).await?;
        let expected = &whole[range.start as usize..range.end as usize];
        assert!(collected == expected && cause.is_none(), "{range:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_change_of_content_fails() -> io::Result<()> {
    let shrank = drain_while(Growing::Fail, |path| {
        File::options().write(true).open(path)?.set_len(100)
    });
    let expected = format!("file shrank from {SIZE} to 100 octets while it was sent");
    assert_eq!(message(&shrank.await?), expected);
    let rewritten = drain_while(Growing::Fail, |path| fs::write(path, octets(SIZE)));
    assert_eq!(
        message(&rewritten.await?),
        "file was rewritten while it was sent"
    );
    let set_back = drain_while(Growing::Allow, |path| {
        let file = File::options().write(true).open(path)?;
        std::os::unix::fs::FileExt::write_all_at(&file, b"x", 0)?;
        set_back(path)
    });
    // The next frame is read at any time: perhaps between the two.
    assert!(message(&set_back.await?).starts_with("file was rewritten "));
    Ok(())
}

#[tokio::test]
async fn growth_fails_unless_it_is_allowed() -> io::Result<()> {
    let grow = |path: &Path| {
        let mut file = File::options().append(true).open(path)?;
        io::Write::write_all(&mut file, b"more")
    };
    let failed = drain_while(Growing::Fail, grow).await?;
    let to = SIZE + 4;
    assert_eq!(
        message(&failed),
        format!("file grew from {SIZE} to {to} octets while it was sent")
    );
    // As the kernel does in the middle of an append: the time first, then the size.
    let slowly = |path: &Path| {
        let file = File::options().append(true).open(path)?;
        file.set_modified(SystemTime::now())?;
        std::thread::spawn(move || {
            std::thread::sleep(APPEND / 4);
            io::Write::write_all(&mut &file, b"more")
        });
        Ok(())
    };
    let (collected, cause) = drain_while(Growing::Allow, grow).await?;
    assert!(collected == octets(SIZE) && cause.is_none());
    // A busy machine may keep the thread waiting for longer than the server waits for it.
    for attempt in 1.. {
        let (collected, cause) = drain_while(Growing::Allow, slowly).await?;
        if cause.is_none() {
            assert!(collected == octets(SIZE));
            break;
        }
        assert!(attempt < 10, "{cause:?}");
    }
    Ok(())
}

#[tokio::test]
async fn names_may_change() -> io::Result<()> {
    for change in [
        |path: &Path| fs::rename(path, path.with_extension("old")),
        |path: &Path| fs::remove_file(path),
    ] {
        let (collected, cause) = drain_while(Growing::Fail, change).await?;
        assert!(collected == octets(SIZE) && cause.is_none());
    }
    Ok(())
}

#[test]
fn who_may_not_wait_leaves_to_others_what_takes_time_to_tell() -> io::Result<()> {
    let folder = folder(SIZE)?;
    let path = folder.path().join("file");
    let opened = || match open(&folder, Growing::Fail)?.content {
        Content::File(open) => Ok(open),
        Content::Kept(..) => Err(io::Error::other("kept")),
    };
    for in_memory in [false, true] {
        old_file(&path, octets(SIZE))?;
        let mut open = opened()?;
        open.in_memory = in_memory;
        // Perhaps an append has begun.
        fs::write(&path, octets(SIZE))?;
        assert!(matches!(open.read(0, 9, Disk::Cached), Ok(None)));
        assert!(matches!(open.prove_the_end(Disk::Cached), Ok(false)));
        assert!(open.read(0, 9, Disk::Any).is_err());
        assert!(open.prove_the_end(Disk::Any).is_err());
        // An end that some kernels tell of what is not in memory.
        old_file(&path, octets(SIZE))?;
        let mut open = opened()?;
        open.in_memory = in_memory;
        assert!(matches!(open.read(SIZE as u64, 9, Disk::Cached), Ok(None)));
        assert!(open.read(SIZE as u64, 9, Disk::Any).is_err());
    }
    Ok(())
}

#[test]
fn a_small_file_that_changed_gives_no_body() -> io::Result<()> {
    let folder = folder(10)?;
    let opened = open(&folder, Growing::Fail)?;
    fs::write(folder.path().join("file"), "abcdefghij")?;
    let cause = opened.body(0..10).err().ok_or(io::ErrorKind::Other)?;
    assert_eq!(cause.kind, Kind::SourceChanged);
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn a_size_that_lies_is_no_empty_file() -> io::Result<()> {
    for growing in [Growing::Fail, Growing::Allow] {
        let place = Place::find(Path::new("/proc"), Path::new("version"));
        let place = place.map_err(io::Error::other)?;
        let opened = Opened::open(&place, growing, Disk::Any).map_err(io::Error::other)?;
        assert_eq!(opened.octets(), 0);
        let cause = opened.body(0..0).err().ok_or(io::ErrorKind::Other)?;
        assert_eq!(
            cause.message,
            "/proc/version has more octets than the 0 of its size"
        );
    }
    Ok(())
}
