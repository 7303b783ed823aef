//! CRC-32C, the checksum of RocksDB's log records, and the mask that RocksDB puts over it.
//!
//! The polynomial is Castagnoli's, as in RFC 3720, section 12.1 and appendix B.4, whose vectors are the test. Eight
//! bytes at a time (Kounavis and Berry, "A Systematic Approach to Building High Performance, Software-based, CRC
//! Generators", 2005): a log of 32 MB is to cost less than what RocksDB then does with it.
//!
//! Deliberately absent: the processor's own instruction, which takes `unsafe`.

/// Castagnoli's polynomial 0x1EDC6F41, bits reflected.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// Row 0 takes one byte on; row `n` the same byte, with `n` zero bytes behind it.
static TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut row = 1;
    while row < 8 {
        let mut byte = 0;
        while byte < 256 {
            let crc: u32 = tables[row - 1][byte];
            tables[row][byte] = (crc >> 8) ^ tables[0][(crc & 0xff) as usize];
            byte += 1;
        }
        row += 1;
    }
    tables
}

/// A checksum that is not finished.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crc(u32);

impl Crc {
    pub(crate) const fn new() -> Self {
        Crc(!0)
    }

    /// One byte more.
    pub(crate) fn push(&mut self, byte: u8) {
        self.0 = (self.0 >> 8) ^ entry(0, self.0 ^ u32::from(byte));
    }

    /// Many bytes more.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        let (eights, rest) = bytes.as_chunks::<8>();
        for &[a, b, c, d, e, f, g, h] in eights {
            let low = self.0 ^ u32::from_le_bytes([a, b, c, d]);
            let high = u32::from_le_bytes([e, f, g, h]);
            self.0 = entry(7, low)
                ^ entry(6, low >> 8)
                ^ entry(5, low >> 16)
                ^ entry(4, low >> 24)
                ^ entry(3, high)
                ^ entry(2, high >> 8)
                ^ entry(1, high >> 16)
                ^ entry(0, high >> 24);
        }
        rest.iter().for_each(|byte| self.push(*byte));
    }

    /// As RocksDB stores it: a checksum over bytes that hold checksums is no good one, so it is turned and moved on
    /// (`util/crc32c.h`).
    pub(crate) const fn masked(self) -> u32 {
        (!self.0).rotate_right(15).wrapping_add(0xa282_ead8)
    }
}

/// The entry of a row for the lowest byte.
fn entry(row: usize, byte: u32) -> u32 {
    TABLES[row][(byte & 0xff) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crc32c(bytes: &[u8]) -> u32 {
        let mut crc = Crc::new();
        crc.extend(bytes);
        !crc.0
    }

    #[test]
    fn the_vectors_of_rfc_3720() {
        let up: Vec<u8> = (0..32).collect();
        let down: Vec<u8> = (0..32).rev().collect();
        // "An iSCSI - SCSI Read (10) Command PDU".
        let mut pdu = [0; 48];
        for (at, byte) in
            [(0, 0x01), (1, 0xc0), (16, 0x14), (22, 0x04), (27, 0x14), (31, 0x18), (32, 0x28), (40, 0x02)]
        {
            pdu[at] = byte;
        }
        for (bytes, crc) in [
            (&[0; 32][..], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&up, 0x46dd_794e),
            (&down, 0x113f_db5c),
            (&pdu, 0xd996_3a56),
            (b"123456789", 0xe306_9283),
        ] {
            assert_eq!(crc32c(bytes), crc, "{bytes:x?}");
        }
    }

    #[test]
    fn in_any_pieces_it_is_the_same() {
        let bytes: Vec<u8> = (0..100u32).map(|n| ((n * n) >> 3) as u8).collect();
        for cut in 0..bytes.len() {
            let mut crc = Crc::new();
            crc.extend(&bytes[..cut]);
            bytes[cut..].iter().for_each(|byte| crc.push(*byte));
            assert_eq!(!crc.0, crc32c(&bytes), "{cut}");
        }
    }
}
