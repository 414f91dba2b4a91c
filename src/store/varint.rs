//! Numbers in few bytes: groups of seven bits, the lowest first, with the eighth bit set in all but the last
//! (LEB128).

pub(crate) const GROUPS_MAX: usize = 10;

pub(crate) fn groups_count(number: u64) -> usize {
    usize::try_from(number.max(1).ilog2() / 7 + 1).unwrap_or_default()
}

pub(crate) fn push_groups(out: &mut Vec<u8>, number: u64) {
    let (groups, length) = groups(number);
    out.extend_from_slice(groups.get(..length).unwrap_or_default());
}

/// What [`push_groups`] appends, and how many bytes of it.
pub(crate) fn groups(mut number: u64) -> ([u8; GROUPS_MAX], usize) {
    let (mut groups, mut length) = ([0; GROUPS_MAX], 0);
    for group in &mut groups {
        length += 1;
        *group = number.to_le_bytes()[0] & 0x7f;
        number >>= 7;
        if number == 0 {
            break;
        }
        *group |= 0x80;
    }
    (groups, length)
}

/// A number that [`push_groups`] packed, and what follows it.
pub(crate) fn groups_of(bytes: &[u8]) -> (u64, &[u8]) {
    let count = bytes.iter().take_while(|&&byte| byte >= 0x80).count() + 1;
    let (groups, rest) = bytes.split_at_checked(count).unwrap_or((bytes, &[]));
    (groups.iter().rev().fold(0, |number, &group| number << 7 | u64::from(group & 0x7f)), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_it_was_packed() {
        for number in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, 1 << 56, u64::MAX >> 1, u64::MAX] {
            let mut packed = Vec::new();
            push_groups(&mut packed, number);
            assert_eq!(packed.len(), groups_count(number));
            packed.extend_from_slice(b"rest");
            assert_eq!(groups_of(&packed), (number, &b"rest"[..]));
        }
    }
}
