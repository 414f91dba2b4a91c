//! Path patterns, and the variable parts of the paths that they match. Not here: methods and handlers.

/// The variable parts of a matched path, percent-encoded as sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Captures<'p> {
    /// The match of `{}`: one segment that is not empty.
    pub segment: &'p str,
    /// The match of `{...}`: the rest of the path with its slashes; may be empty.
    pub rest: &'p str,
}

/// The positions of the variable parts in a path, for a path that moves, so that they cannot be borrowed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureOffsets {
    segment_start: usize,
    segment_end: usize,
    rest_start: usize,
}

impl Captures<'_> {
    /// Their positions in `path`, which they were matched from.
    pub fn offsets_in(self, path: &str) -> CaptureOffsets {
        let start_of = |part: &str| match part {
            "" => path.len(),
            part => part.as_ptr().addr().saturating_sub(path.as_ptr().addr()),
        };
        let segment_start = start_of(self.segment);
        let segment_end = segment_start + self.segment.len();
        CaptureOffsets { segment_start, segment_end, rest_start: start_of(self.rest) }
    }
}

impl CaptureOffsets {
    /// The parts of `path`, which has the same text as the matched path.
    pub fn of(self, path: &str) -> Captures<'_> {
        let segment = path.get(self.segment_start..self.segment_end).unwrap_or_default();
        Captures { segment, rest: path.get(self.rest_start..).unwrap_or_default() }
    }
}

/// Matches `path` against `pattern`: literal text, in which `{}` is one segment and `{...}`, at the end, is the rest.
/// At most one of each, in this order. Literal text is compared as sent.
pub fn matches<'p>(pattern: &str, path: &'p str) -> Option<Captures<'p>> {
    let mut captures = Captures::default();
    let Some((literal, mut expected)) = pattern.split_once('{') else {
        return (path == pattern).then_some(captures);
    };
    let mut left = path.strip_prefix(literal)?;
    if let Some(after_segment) = expected.strip_prefix('}') {
        let end = left.bytes().position(|byte| byte == b'/').unwrap_or(left.len());
        (captures.segment, left) = left.split_at_checked(end).filter(|(segment, _)| !segment.is_empty())?;
        let Some((literal, rest)) = after_segment.split_once('{') else {
            return (left == after_segment).then_some(captures);
        };
        left = left.strip_prefix(literal)?;
        expected = rest;
    }
    debug_assert_eq!(expected, "...}", "{pattern} ends with the rest");
    captures.rest = left;
    Some(captures)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, path: &str, expected: Option<(&str, &str)>) {
        let found = matches(pattern, path).map(|captures| (captures.segment, captures.rest));
        assert_eq!(found, expected, "{pattern} {path}");
    }

    #[test]
    fn captures_are_restored_from_their_offsets() {
        for (pattern, path) in
            [("/a/{}/b/{...}", "/a/x/b/c/d"), ("/a/{}", "/a/é"), ("/{...}", "/"), ("/a", "/a")]
        {
            let captures = matches(pattern, path).unwrap();
            let same = path.to_owned();
            assert_eq!(captures.offsets_in(path).of(&same), captures, "{pattern} {path}");
        }
    }

    #[test]
    fn literal_paths_match_only_themselves() {
        check("/api/v1/projects", "/api/v1/projects", Some(("", "")));
        for path in [
            "/api/v1/projects/",
            "/api/v1",
            "/api/v1/Projects",
            "//api/v1/projects",
            "api/v1/projects",
            "",
            "/",
        ] {
            check("/api/v1/projects", path, None);
        }
        check("/", "/", Some(("", "")));
    }

    #[test]
    fn a_segment_is_not_empty_and_has_no_slash() {
        check("/p/{}/keys", "/p/a%2Fb/keys", Some(("a%2Fb", "")));
        check("/p/{}/keys", "/p//keys", None);
        check("/p/{}/keys", "/p/a/b/keys", None);
        check("/p/{}", "/p/", None);
    }

    #[test]
    fn the_rest_is_everything_after_the_slash() {
        check("/p/{}/k/{...}", "/p/a/k/b/c//d/", Some(("a", "b/c//d/")));
        check("/p/{}/k/{...}", "/p/a/k/", Some(("a", "")));
        check("/p/{}/k/{...}", "/p/a/k", None);
    }
}
