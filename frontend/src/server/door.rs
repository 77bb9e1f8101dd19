//! Which listening socket a connection came through, and what is behind it.

use std::net::SocketAddr;

/// A way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// The only one: everything is behind it.
    Only,
    /// For everybody, where operators have one of their own.
    Public,
    /// For operators: their pages and figures, and everything else. No key is asked for here.
    Admin,
}

/// What only operators see where they have a door of their own: these paths and all below them.
const OPERATORS: [&str; 5] = ["/metrics", "/stats", "/events", "/dashboard", "/review"];

impl Door {
    /// The doors of sockets that listen here, when operators' is configured to be `admin`.
    pub fn of(sockets: &[SocketAddr], admin: Option<SocketAddr>) -> Vec<Self> {
        let is_admin = |socket: &SocketAddr| Some(*socket) == admin;
        let has_admin = sockets.iter().any(is_admin);
        let door = |socket| match (is_admin(socket), has_admin) {
            (true, _) => Self::Admin,
            (false, true) => Self::Public,
            (false, false) => Self::Only,
        };
        sockets.iter().map(door).collect()
    }

    /// Whether this path is behind the door.
    pub fn leads_to(self, path: &str) -> bool {
        let is_below = |above: &&str| {
            path.strip_prefix(*above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self != Self::Public || !OPERATORS.iter().any(is_below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_behind_the_operators_door_where_there_is_one() {
        let sockets: Vec<SocketAddr> =
            ["127.0.0.1:1", "127.0.0.1:2"].iter().map(|text| text.parse().expect("an address")).collect();
        assert_eq!(Door::of(&sockets, None), [Door::Only, Door::Only]);
        assert_eq!(Door::of(&sockets, Some(sockets[1])), [Door::Public, Door::Admin]);
        assert_eq!(Door::of(&sockets, "127.0.0.1:3".parse().ok()), [Door::Only, Door::Only]);
        for (path, is_public) in [
            ("/", true),
            ("/detect", true),
            ("/metrics", false),
            ("/stats", false),
            ("/review/1", false),
            ("/statsx", true),
        ] {
            assert_eq!(Door::Public.leads_to(path), is_public, "{path}");
            assert!(Door::Only.leads_to(path) && Door::Admin.leads_to(path));
        }
    }
}
