//! Records and spans.

/// Makes a record in a guard.
#[doc(hidden)]
#[macro_export]
macro_rules! __record {
    ($level:ident, $record:ident, $($parts:tt)+) => {{
        if $crate::is_wanted($crate::Level::$level) {
            $crate::guard(|| $crate::unguarded::$record!($($parts)+));
        }
    }};
}

/// A record of level `TRACE`.
#[macro_export]
macro_rules! trace {
    ($($parts:tt)+) => { $crate::__record!(TRACE, trace, $($parts)+) };
}

/// A record of level `DEBUG`.
#[macro_export]
macro_rules! debug {
    ($($parts:tt)+) => { $crate::__record!(DEBUG, debug, $($parts)+) };
}

/// A record of level `INFO`.
#[macro_export]
macro_rules! info {
    ($($parts:tt)+) => { $crate::__record!(INFO, info, $($parts)+) };
}

/// A record of level `WARN`.
#[macro_export]
macro_rules! warn {
    ($($parts:tt)+) => { $crate::__record!(WARN, warn, $($parts)+) };
}

/// A record of level `ERROR`.
#[macro_export]
macro_rules! error {
    ($($parts:tt)+) => { $crate::__record!(ERROR, error, $($parts)+) };
}

/// A [`Span`](crate::Span) of level `DEBUG`.
#[macro_export]
macro_rules! debug_span {
    ($($parts:tt)+) => {
        if $crate::is_wanted($crate::Level::DEBUG) {
            $crate::Span::new(|| $crate::unguarded::debug_span!($($parts)+))
        } else {
            $crate::Span::none()
        }
    };
}

/// Fills in fields of a [`Span`](crate::Span).
#[macro_export]
macro_rules! record_all {
    ($span:expr, $($parts:tt)+) => {
        $span.with(|span| { $crate::unguarded::record_all!(span, $($parts)+); })
    };
}
