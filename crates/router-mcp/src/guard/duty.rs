//! What the router hands to one guard, by way of the keeper: its descriptors, and what it is to start.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, IoSlice, IoSliceMut, Read, Seek, Write},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use rustix::{
    fs::{MemfdFlags, Mode, OFlags, memfd_create, open},
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
        recvmsg, sendmsg,
    },
};

use super::Order;

/// How many descriptors a duty has.
const COUNT: usize = 6;

/// All that a guard needs. It is sent as descriptors alone, so that a duty is one small packet however long its order is.
pub(super) struct Duty {
    /// The server's stdin, stdout and stderr.
    pub(super) pipes: [OwnedFd; 3],
    /// Where the guard tells its process id and, when all is over, the server's exit code.
    pub(super) report: OwnedFd,
    /// Where the server starts.
    pub(super) folder: OwnedFd,
    /// The order, in a file that only its holders can see.
    pub(super) order: OwnedFd,
}

/// What the keeper heard from the router.
pub(super) enum Heard {
    Duty(Duty),
    /// What cannot be used: descriptors are missing where ours may be no more. It is closed, and the router sees that.
    Nothing,
    /// The router is gone, or needs no keeper any more.
    End,
}

impl Duty {
    /// Hands it to the keeper, if he is there and listens.
    pub(super) fn send(&self, keeper: &OwnedFd) -> io::Result<()> {
        let [input, output, errors] = &self.pipes;
        let files = [input, output, errors, &self.report, &self.folder, &self.order].map(AsFd::as_fd);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(COUNT))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&files)) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        // A packet without any byte would look like the end.
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        sendmsg(keeper, &[IoSlice::new(&[0])], &mut control, flags)?;
        Ok(())
    }

    /// Takes the next one from the router.
    pub(super) fn receive(router: BorrowedFd<'_>) -> io::Result<Heard> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(COUNT))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(router, &mut [IoSliceMut::new(&mut [0])], &mut control, RecvFlags::CMSG_CLOEXEC)?;
        if received.bytes == 0 {
            return Ok(Heard::End);
        }
        let mut files = Vec::with_capacity(COUNT);
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                files.extend(rights);
            }
        }
        let Ok([input, output, errors, report, folder, order]) = <[OwnedFd; COUNT]>::try_from(files) else {
            return Ok(Heard::Nothing);
        };
        Ok(Heard::Duty(Self { pipes: [input, output, errors], report, folder, order }))
    }
}

/// The folder that a server starts in; ours by default.
pub(super) fn folder(path: Option<&Path>) -> io::Result<OwnedFd> {
    // Whether one may enter it as well is found out by looking for what is in it.
    let inside = path.unwrap_or(Path::new("")).join(".");
    Ok(open(inside, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// An order as a file in memory: it may be longer than any packet.
pub(super) fn write(order: &Order) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(c"order", MemfdFlags::CLOEXEC)?);
    file.write_all(&encode(order)?)?;
    file.rewind()?;
    Ok(file.into())
}

/// Reads what [`write()`] wrote.
pub(super) fn read(order: OwnedFd) -> io::Result<Order> {
    let mut bytes = Vec::new();
    File::from(order).read_to_end(&mut bytes)?;
    decode(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Program, number of arguments, arguments, and name and value of each variable; each ended by a NUL.
fn encode(order: &Order) -> io::Result<Vec<u8>> {
    let count = OsString::from(order.args.len().to_string());
    let variables = order.env.iter().flat_map(|(name, value)| [name, value]);
    let mut bytes = Vec::new();
    for word in [&order.program, &count].into_iter().chain(&order.args).chain(variables) {
        if word.as_bytes().contains(&0) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        bytes.extend_from_slice(word.as_bytes());
        bytes.push(0);
    }
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Option<Order> {
    let mut words = bytes.strip_suffix(&[0])?.split(|&byte| byte == 0).map(|word| OsStr::from_bytes(word).to_owned());
    let program = words.next()?;
    let count: usize = words.next()?.to_str()?.parse().ok()?;
    let args: Vec<_> = words.by_ref().take(count).collect();
    let mut env = Vec::new();
    while let Some(name) = words.next() {
        env.push((name, words.next()?));
    }
    (args.len() == count).then_some(Order { program, args, env })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(program: &str, args: &[&str], env: &[(&str, &str)]) -> Order {
        Order {
            program: program.into(),
            args: args.iter().map(OsString::from).collect(),
            env: env.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        }
    }

    #[test]
    fn an_order_arrives_as_it_was_given() {
        let long = "x".repeat(1_000_000);
        for order in [
            order("npx", &[], &[]),
            order("npx", &["", "-y", "", "é\n"], &[("A", ""), ("", "=b=c")]),
            order("", &[&long], &[("LONG", &long)]),
        ] {
            assert_eq!(read(write(&order).unwrap()).unwrap(), order);
        }
        assert_eq!(encode(&order("n\0x", &[], &[])).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn what_is_no_order_is_none() {
        for bytes in [&b""[..], b"npx", b"npx\0", b"npx\0two\0", b"npx\x002\0a\0", b"npx\x000\0name\0"] {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_entered_is_none() {
        assert!(folder(None).is_ok());
        assert_eq!(folder(Some(Path::new("/no/where"))).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(folder(Some(Path::new("/dev/null"))).unwrap_err().kind(), io::ErrorKind::NotADirectory);
    }
}
