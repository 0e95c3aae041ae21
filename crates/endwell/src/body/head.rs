//! Status and fields of a response, kept beside its body until it becomes a response.

use endwell_core::Cause;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// What a body's response will say before it.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) fields: HeaderMap,
}

impl Head {
    pub(crate) fn content_type<V>(&mut self, value: V) -> Result<(), Cause>
    where
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        let value = value
            .try_into()
            .map_err(|error| wrong(&CONTENT_TYPE, error))?;
        self.fields.insert(CONTENT_TYPE, value);
        Ok(())
    }

    pub(crate) fn header<N, V>(&mut self, name: N, value: V) -> Result<(), Cause>
    where
        N: TryInto<HeaderName, Error: Into<http::Error>>,
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        let name = name.try_into().map_err(|error| {
            Cause::producer(format!("a field of the response: {}", error.into()))
        })?;
        let value = value.try_into().map_err(|error| wrong(&name, error))?;
        let added = self.fields.try_append(name, value);
        added
            .map(drop)
            .map_err(|error| Cause::producer(format!("a field of the response: {error}")))
    }
}

impl Head {
    /// Takes another one's status, unless that is 200, and its fields, in place of those of the same name.
    pub(crate) fn take_over(&mut self, later: Self) {
        if later.status != StatusCode::OK {
            self.status = later.status;
        }
        self.fields.extend(later.fields);
    }
}

fn wrong(name: &HeaderName, error: impl Into<http::Error>) -> Cause {
    Cause::producer(format!("field {name} of the response: {}", error.into()))
}
