//! Encoding without lengths: the parameters say how long everything is.

use alloc::vec::Vec;
use core::fmt;

use crate::draw::DrawError;
use crate::num::to_usize;
use crate::opening::{Form, Span};
use crate::params::ParamsError;
use crate::{Digest, FRAME_BYTES_MAX};

/// Bytes that are not openings or a proof, or openings and proofs that have no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The parameters are not valid.
    Params(ParamsError),
    /// A place lies outside of the challenge.
    Place(DrawError),
    /// The first byte of a proof is neither 0 (element) nor 1 (walk).
    Kind(Option<u8>),
    /// The whole is too short or too long.
    Length {
        /// The only length that is allowed.
        expected: u64,
        /// The length that was given.
        got: u64,
    },
    /// A frame is empty or longer than [`FRAME_BYTES_MAX`].
    Frame(usize),
    /// A span or its path has the wrong length, or is there when it must come from the seed, or is missing.
    Form,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Params(error) => error.fmt(f),
            Self::Place(error) => error.fmt(f),
            Self::Kind(Some(kind)) => write!(f, "a proof begins with 0 or 1, not with {kind}"),
            Self::Kind(None) => write!(f, "a proof has at least one byte, none was given"),
            Self::Length { expected, got } => {
                write!(
                    f,
                    "{expected} bytes are expected, {got} were given: parameters and places fix the length"
                )
            }
            Self::Frame(got) => write!(
                f,
                "a frame has 1 to {FRAME_BYTES_MAX} bytes, {got} were given"
            ),
            Self::Form => write!(
                f,
                "a span or path does not have the length that the parameters ask for"
            ),
        }
    }
}

impl core::error::Error for WireError {}

impl From<ParamsError> for WireError {
    fn from(error: ParamsError) -> Self {
        Self::Params(error)
    }
}

impl From<DrawError> for WireError {
    fn from(error: DrawError) -> Self {
        Self::Place(error)
    }
}

/// Appends to one buffer.
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn with_capacity(length: u64) -> Self {
        Self {
            bytes: Vec::with_capacity(to_usize(length)),
        }
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn digests(&mut self, digests: &[Digest]) {
        self.bytes.extend_from_slice(digests.as_flattened());
    }

    /// Digests of a list path, which must be of the given number.
    pub(crate) fn path(&mut self, path: &[Digest], depth: u32) -> Result<(), WireError> {
        if path.len() != to_usize(u64::from(depth)) {
            return Err(WireError::Form);
        }
        self.digests(path);
        Ok(())
    }

    pub(crate) fn span(&mut self, span: &Span, form: Form) -> Result<(), WireError> {
        let Span { bytes, path } = span;
        if bytes.len() != to_usize(form.bytes) {
            return Err(WireError::Form);
        }
        self.bytes(bytes);
        self.path(path, form.depth)
    }

    pub(crate) fn optional(
        &mut self,
        span: Option<&Span>,
        opened: bool,
        form: Form,
    ) -> Result<(), WireError> {
        match (span, opened) {
            (Some(span), true) => self.span(span, form),
            (None, false) => Ok(()),
            (Some(_), false) | (None, true) => Err(WireError::Form),
        }
    }

    pub(crate) fn finish(self, expected: u64) -> Result<Vec<u8>, WireError> {
        let got = u64::try_from(self.bytes.len()).unwrap_or(u64::MAX);
        if got == expected {
            Ok(self.bytes)
        } else {
            Err(WireError::Length { expected, got })
        }
    }
}

/// Takes from the front of a buffer whose whole length was checked first.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn exact(bytes: &'a [u8], expected: u64) -> Result<Self, WireError> {
        let got = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if got == expected {
            Ok(Self { rest: bytes })
        } else {
            Err(WireError::Length { expected, got })
        }
    }

    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn remaining(&self) -> u64 {
        u64::try_from(self.rest.len()).unwrap_or(u64::MAX)
    }

    pub(crate) fn take(&mut self, length: u64) -> Result<&'a [u8], WireError> {
        let Some((head, rest)) = self.rest.split_at_checked(to_usize(length)) else {
            return Err(WireError::Length {
                expected: length,
                got: self.remaining(),
            });
        };
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn word(&mut self) -> Result<u32, WireError> {
        let (words, _) = self.take(4)?.as_chunks::<4>();
        words
            .first()
            .map(|bytes| u32::from_le_bytes(*bytes))
            .ok_or(WireError::Form)
    }

    pub(crate) fn digests(&mut self, count: u32) -> Result<Vec<Digest>, WireError> {
        let (digests, _) = self.take(u64::from(count) << 5)?.as_chunks::<32>();
        Ok(digests.to_vec())
    }

    pub(crate) fn span(&mut self, form: Form) -> Result<Span, WireError> {
        Ok(Span {
            bytes: self.take(form.bytes)?.to_vec(),
            path: self.digests(form.depth)?,
        })
    }

    pub(crate) fn optional(&mut self, opened: bool, form: Form) -> Result<Option<Span>, WireError> {
        if opened {
            self.span(form).map(Some)
        } else {
            Ok(None)
        }
    }
}
